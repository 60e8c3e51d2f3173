# Completion of rlctl for fish. What fits is rlctl's to say: this only hands it the words.

function __rlctl_complete
    set -l typed (string unescape -- (commandline -ct))
    command rlctl complete -- (commandline -opc) "$typed" 2>/dev/null
    test $status -eq 1; and __fish_complete_path "$typed"
end
complete -c rlctl -f -a '(__rlctl_complete)'

# What differs from run to run, from machine to machine or from build to build.

# The names of segments, where /dev/shm is shared with others.
s/test-[0-9]+-[0-9]+\.(web|shop)/\1/g

# Times. In tables that begin with one the columns come closer, in others it keeps its width.
s/^when +(uid +)?pid  /when  \1pid  /
s/^when  uid +pid  /when  uid  pid  /
s/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z +[0-9]+  ([a-z])/TIME  PID  \1/
s/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z +([0-9]+) +[0-9]+  /TIME    \1  PID  /
s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z(  +)/TIME                \1/g
s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z/TIME/g
s/"unix_ns":[1-9][0-9]*/"unix_ns":TIME/g
s/(rl_segment_created_timestamp_seconds.*"value":)[0-9.e+]+/\1TIME/
s/^(rl_segment_created_timestamp_seconds\{.*\}) [0-9.e+]+/\1 TIME/
s/, [0-9.]+ [a-z]+ ago/, AGE ago/
s/(denied\/s over) [0-9.]+ [a-z]+/\1 TIME/
/"kind":"(segment|key)"/s/"interval_ns":[0-9]+/"interval_ns":TIME/

# Processes.
s/\b(process|pid) [0-9]+/\1 PID/g
s/\.[0-9]+\.new/.PID.new/
s/"((creator_)?pid)":[1-9][0-9]*/"\1":PID/g

# What the build decides.
s/\b(librl|rlctl) [0-9]+\.[0-9]+\.[0-9]+/\1 VERSION/g
s/"((creator_)?version|library)":"[0-9]+\.[0-9]+\.[0-9]+"/"\1":"VERSION"/g
s/\blayout [0-9]+/layout N/g
s/"(layout(_version)?)":[0-9]+/"\1":N/g
s/[0-9.]+ [KMG]iB/SIZE/g
s/"(bytes)":[0-9]+/"\1":SIZE/g
s/(rl_segment_bytes.*"value":)[0-9]+/\1SIZE/
s/^(rl_segment_bytes\{.*\}) [0-9]+/\1 SIZE/

# What the segment's secret decides.
s/"(sum|secret)":"[0-9a-f]+"/"\1":"HEX"/g

# Which processes may be looked into.
/may not be looked into by this user/d

# How old a segment is, in the table of segments.
s/^(web +fine +[0-9]+ +[0-9.]+ % +[0-9]+)  [0-9.]+ m?s  /\1  AGE  /

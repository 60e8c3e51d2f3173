<?php
// Counts keys with apcu_inc as it is told: each line has a number of steps and one of keys.
if (!extension_loaded('apcu') || !apcu_enabled()) {
    fwrite(STDERR, "PHP has no APCu here (Debian: php-apcu)\n");
    exit(1);
}
$keys = [];
while (($line = fgets(STDIN)) !== false) {
    [$steps, $count] = array_map('intval', explode(' ', $line));
    if (count($keys) != $count) {
        $keys = [];
        for ($i = 0; $i < $count; ++$i) {
            $keys[] = sprintf('user:%06x', $i);
            apcu_add($keys[$i], 0);
        }
    }
    if ($count == 1) {
        $key = $keys[0];
        for ($i = 0; $i < $steps; ++$i) {
            apcu_inc($key);
        }
    } else {
        for ($i = 0; $i < $steps; ++$i) {
            apcu_inc($keys[mt_rand(0, $count - 1)]);
        }
    }
    fwrite(STDOUT, "\n");
}

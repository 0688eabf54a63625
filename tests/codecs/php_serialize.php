<?php
// Answers each line of its standard input, "HOW BASE64", by a line of base64 or by "refused":
//   read    what serialize() makes of what unserialize() reads
//   json    what serialize() makes of a JSON value
//   double  what serialize() makes of a float, given as its eight bytes

function read(string $data): ?string
{
    $value = @unserialize($data, ['allowed_classes' => false]);
    return $value === false && $data !== 'b:0;' ? null : serialize($value);
}

function json(string $data): string
{
    return serialize(json_decode($data, true, 512, JSON_THROW_ON_ERROR));
}

function double(string $data): string
{
    return serialize(unpack('E', $data)[1]);
}

while (($line = fgets(STDIN)) !== false) {
    [$how, $data] = explode(' ', trim($line, "\n"));
    $answer = $how(base64_decode($data));
    echo $answer === null ? 'refused' : base64_encode($answer), "\n";
}

"""get FILE SECTION OPTION, set FILE SECTION OPTION VALUE: as DevStack's iniget and iniset."""

import configparser
import sys
from pathlib import Path

verb, file, section, option, *value = sys.argv[1:]
parser = configparser.RawConfigParser(default_section="\n")
parser.optionxform = str
parser.read(file)
if verb == "get":
    print(parser.get(section, option, fallback=""))
else:
    if not parser.has_section(section):
        parser.add_section(section)
    parser.set(section, option, value[0] if value else "")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w") as stream:
        parser.write(stream)

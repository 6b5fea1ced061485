#!/usr/bin/env python3
"""Prints internal/timezone/zones.txt: today's time zones, each with the legacy names that mean the same.

Usage: scripts/zones.py [DIRECTORY] >internal/timezone/zones.txt
The directory holds tzdata.zi and zone.tab of IANA's time zone database; /usr/share/zoneinfo if it is not given.
A name is today's if zone.tab lists it for a country, or if it is UTC or a fixed offset of Etc.
"""
import collections
import pathlib
import sys

base = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/zoneinfo")
lines = (base / "tzdata.zi").read_text().splitlines()
today = {"UTC"} | {l.split("\t")[2] for l in (base / "zone.tab").read_text().splitlines() if not l.startswith("#")}
links = {l.split()[2]: l.split()[1] for l in lines if l.startswith("L ")}
UTC = {"Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich",
       "Etc/GMT", "Etc/GMT0", "Etc/GMT+0", "Etc/GMT-0", "Etc/Greenwich"}
# Where tzdata.zi links to the zone that a place was merged into, the file "backward" names the place's own new name in a comment.
links |= {
    "Iceland": "Atlantic/Reykjavik", "Pacific/Ponape": "Pacific/Pohnpei", "Pacific/Truk": "Pacific/Chuuk", "Pacific/Yap": "Pacific/Chuuk",
    "America/Coral_Harbour": "America/Atikokan", "Africa/Asmera": "Africa/Asmara", "Africa/Timbuktu": "Africa/Bamako",
    "America/Virgin": "America/St_Thomas", "Antarctica/South_Pole": "Antarctica/McMurdo", "Atlantic/Jan_Mayen": "Arctic/Longyearbyen",
    "Pacific/Samoa": "Pacific/Pago_Pago", "Pacific/Johnston": "Pacific/Honolulu",
}

legacy = collections.defaultdict(set)
for name in links.keys() | UTC:
    target = name
    while target not in today and target in links:
        target = links[target]
    if name in UTC:
        target = "UTC"
    if name not in today and target in today:
        legacy[target].add(name)
for name in sorted(today):
    print(" ".join([name, *sorted(legacy[name])]))

#!/usr/bin/env python3
"""Write all scenarios as one JSON object, name -> scenario with payload shorthands expanded: compile_scenarios.py OUT."""
import json
import pathlib
import sys

from offline import golden

if __name__ == "__main__":
    scenarios = {name: golden.expand_payloads(golden.load(name)) for name in golden.scenario_names()}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(scenarios, ensure_ascii=False))

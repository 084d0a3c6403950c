#!/usr/bin/env python3
"""What a client's options are, from profiles and the environment, beside what Temporal's SDK for Python reads from the same.

  configuration_test.py PRINTER        the program of configuration_print.cc
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import processes

# A title, temporal.toml or None, variables. {ca}, {cert} and {key} are files that hold CA, CERT and KEY.
CASES = [
    ("nothing", None, {}),
    ("a file", '[profile.default]\naddress = "a:1"\nnamespace = "n"', {}),
    ("the environment is over the file", '[profile.default]\naddress = "a:1"\nnamespace = "n"', {"TEMPORAL_ADDRESS": "b:2"}),
    ("an empty variable takes back what the file says", '[profile.default]\naddress = "a:1"', {"TEMPORAL_ADDRESS": ""}),
    ("a profile by variable", '[profile.p]\naddress = "p:1"', {"TEMPORAL_PROFILE": "p"}),
    ("an empty profile is the default one", '[profile.default]\naddress = "a:1"', {"TEMPORAL_PROFILE": ""}),
    ("a profile that is not there", '[profile.p]\naddress = "p:1"', {"TEMPORAL_PROFILE": "q"}),
    ("no default profile", '[profile.p]\naddress = "p:1"', {}),
    ("a file that is not there", None, {"TEMPORAL_CONFIG_FILE": "/nowhere/temporal.toml"}),
    ("no TOML", "profile = [", {}),
    ("the wrong type", "[profile.default]\naddress = 3", {}),
    ("keys that are not known", '[profile.default]\naddress = "a:1"\nx = "y"\n[other]\nz = 1', {}),
    ("an API key means TLS", '[profile.default]\napi_key = "k"', {}),
    ("unless it is off", '[profile.default]\napi_key = "k"\n[profile.default.tls]\ndisabled = true', {}),
    ("or off by variable", None, {"TEMPORAL_API_KEY": "k", "TEMPORAL_TLS": "false"}),
    ("TLS on", None, {"TEMPORAL_TLS": "true"}),
    ("TLS on by number", None, {"TEMPORAL_TLS": "1"}),
    ("TLS on by a section", "[profile.default.tls]", {}),
    ("TLS on by a name", None, {"TEMPORAL_TLS_SERVER_NAME": "s"}),
    ("TLS off in the file, on by variable", "[profile.default.tls]\ndisabled = true", {"TEMPORAL_TLS": "true"}),
    ("a name does not put it on again", "[profile.default.tls]\ndisabled = true", {"TEMPORAL_TLS_SERVER_NAME": "s"}),
    ("certificates by path", None, {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "{ca}", "TEMPORAL_TLS_CLIENT_CERT_PATH": "{cert}",
                                    "TEMPORAL_TLS_CLIENT_KEY_PATH": "{key}"}),
    ("certificates by data", None, {"TEMPORAL_TLS_SERVER_CA_CERT_DATA": "x", "TEMPORAL_TLS_CLIENT_CERT_DATA": "y",
                                    "TEMPORAL_TLS_CLIENT_KEY_DATA": "z"}),
    ("certificates in the file",
     '[profile.default.tls]\nclient_cert_path = "{cert}"\nclient_key_data = "kk"\nserver_name = "sn"', {}),
    ("path and data", None, {"TEMPORAL_TLS_SERVER_CA_CERT_DATA": "x", "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "{ca}"}),
    ("data in the file, path by variable", '[profile.default.tls]\nserver_ca_cert_data = "q"',
     {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "{ca}"}),
    ("path in the file, data by variable", '[profile.default.tls]\nserver_ca_cert_path = "{ca}"',
     {"TEMPORAL_TLS_SERVER_CA_CERT_DATA": "q"}),
    ("both in the file", '[profile.default.tls]\nclient_key_path = "{key}"\nclient_key_data = "x"', {}),
    ("a certificate that is not there", '[profile.default.tls]\nclient_cert_path = "/nowhere/cert.pem"', {}),
    ("metadata", '[profile.default.grpc_meta]\nMy_Key = "1"\nother-key = "2"',
     {"TEMPORAL_GRPC_META_MY_KEY": "3", "TEMPORAL_GRPC_META_NEW_ONE": "4"}),
    ("metadata taken away", '[profile.default.grpc_meta]\nmy-key = "1"', {"TEMPORAL_GRPC_META_MY_KEY": ""}),
]


def python_reads(environment):
    """What the SDK for Python makes of it, in the printer's words; "error" when it refuses."""
    from temporalio.envconfig import ClientConfig
    try:
        config = ClientConfig.load_client_connect_config(override_env_vars=environment)
    except Exception:
        return "error"
    tls = config.get("tls", False)
    parts = {"ca": "server_root_ca_cert", "certificate": "client_cert", "key": "client_private_key"}
    texts = {ours: (getattr(tls, theirs, None) or b"").decode() for ours, theirs in parts.items()}
    return {"address": config.get("target_host", "127.0.0.1:7233"), "namespace": config.get("namespace", "default"),
            "api_key": config.get("api_key", ""), "tls": tls is not False, "name": getattr(tls, "domain", None) or "", **texts,
            "metadata": config.get("rpc_metadata", {})}


def ours(printer, environment):
    """The printer's words; "error" when it refuses."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("TEMPORAL_", "XDG_", "HOME"))}
    result = subprocess.run([printer], capture_output=True, text=True, env={**inherited, **environment})
    return json.loads(result.stdout) if result.returncode == 0 else "error"


def main():
    processes.use_packages()
    for name in [name for name in os.environ if name.startswith(("TEMPORAL_", "XDG_"))]:
        del os.environ[name]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        os.environ["HOME"] = folder
        files = {name: here / f"{name}.pem" for name in ("ca", "cert", "key")}
        for name, path in files.items():
            path.write_text(name.upper())

        def filled(text):
            for name, path in files.items():
                text = text.replace("{" + name + "}", str(path))
            return text

        for title, toml, variables in CASES:
            environment = {"HOME": folder, **{name: filled(value) for name, value in variables.items()}}
            if toml is not None:
                (here / "temporal.toml").write_text(filled(toml))
                environment["TEMPORAL_CONFIG_FILE"] = str(here / "temporal.toml")
            wanted, got = python_reads(environment), ours(sys.argv[1], environment)
            if wanted != got:
                failed += 1
                print(f"{title}: {got}\n  Python reads {wanted}")
        (here / ".config/temporalio").mkdir(parents=True)
        (here / ".config/temporalio/temporal.toml").write_text('[profile.default]\naddress = "home:1"')
        if ours(sys.argv[1], {"HOME": folder}).get("address") != "home:1":
            failed += 1
            print("the file in the user's configuration is not read")
    print(f"{len(CASES) + 1 - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A third party's HTTP API as one meets it: POST /notify answers 503 a few times before it answers 200.

  notification_service.py [--port 8099] [--failures 3]
"""
import argparse
import http.server
import json


def handler(failures):
    left = [failures]

    class Notify(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            failing = left[0] > 0
            left[0] -= failing
            status = 503 if failing else 200
            print(f"{status} {self.path} {body['applicant']}", flush=True)
            answer = json.dumps({"error": "try again later"} if failing else {"notified": body["applicant"]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass  # the one line above says it all

    return Notify


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--failures", type=int, default=3, help="how many requests fail before the first success")
    options = parser.parse_args()
    with http.server.ThreadingHTTPServer(("127.0.0.1", options.port), handler(options.failures)) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}/notify", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()

"""How many clients may be connected: as many as the process may have descriptors at most, not what a shell happens to give it."""
import resource
import socket

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest, GetSystemInfoResponse

import processes
from binary import Case

SOFT, HARD = 100, 1000  # descriptors
IDLE = 300


class Many(Case):
    def test_idle_clients_beyond_the_soft_limit_keep_nobody_out(self):
        server = self.server(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD)))
        host, port = server.address.rsplit(":", 1)
        idle = [socket.create_connection((host, int(port))) for _ in range(IDLE)]
        try:
            channel = processes.connect(server.address)
            answer = channel.unary_unary(processes.SERVICE + "GetSystemInfo",
                                         request_serializer=GetSystemInfoRequest.SerializeToString,
                                         response_deserializer=GetSystemInfoResponse.FromString)(GetSystemInfoRequest(), timeout=20)
            self.assertTrue(answer.server_version)
            channel.close()
        finally:
            for one in idle:
                one.close()

"""Who answers in the benchmarks: SIPp, which rings, answers, waits and hangs up.

It is written in C and plays no sound unless asked to, so that it takes little of a machine that it
shares with what is measured. Sound that is sent to it ends in a socket that nobody reads.
"""

from __future__ import annotations

import csv
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self

from dialer.switch.portable import ensure_tool

RING_MS = 200

_SCENARIO = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="rings, answers, hangs up">
  <recv request="INVITE">
    <action>
      <ereg regexp=" *(.*)" search_in="hdr" header="From:" assign_to="whole_from,from"/>
      <ereg regexp=" *(.*)" search_in="hdr" header="To:" assign_to="whole_to,to"/>
      <ereg regexp="sip:[^>;]+" search_in="hdr" header="Contact:" assign_to="contact"/>
    </action>
  </recv>
  <Reference variables="whole_from,whole_to"/>
  <send><![CDATA[
SIP/2.0 180 Ringing
[last_Via:]
[last_From:]
[last_To:];tag=t[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:127.0.0.1:[local_port]>
Content-Length: 0

]]></send>
  <pause milliseconds="{ring}"/>
  <send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=t[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:127.0.0.1:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {sound} RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
]]></send>
  <recv request="ACK"/>
{play}  <pause milliseconds="{talk}"/>
  <send retrans="500"><![CDATA[
BYE [$contact] SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:[local_port];branch=[branch]
From: [$to];tag=t[call_number]
To: [$from]
[last_Call-ID:]
CSeq: 1 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"/>
</scenario>
"""


class FarEnd:
    """SIPp as a context manager: every call rings 200 ms, is answered, and is hung up ``talk``
    seconds after the ACK. ``port`` is where it listens on 127.0.0.1.

    ``silent`` False: it sends A-law silence, 50 packets a second a call, as a telephone does.
    """

    def __init__(self, folder: Path, talk: float, *, silent: bool = True) -> None:
        self.folder = folder
        self.talk = talk
        self.silent = silent
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._sound: socket.socket | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sound = _bound()
        with _bound() as probe:
            self.port = probe.getsockname()[1]
        scenario = self.folder / "far_end.xml"
        text = _SCENARIO.replace("{ring}", str(RING_MS))
        text = text.replace("{talk}", str(round(self.talk * 1000)))
        sound, play = str(self._sound.getsockname()[1]), ""
        if not self.silent:
            sample = self.folder / "silence.al"
            sample.write_bytes(b"\xd5" * 8000)
            sound = "[rtpstream_audio_port]"
            play = f'  <nop><action><exec rtp_stream="{sample},-1,8"/></action></nop>\n'
        scenario.write_text(text.replace("{sound}", sound).replace("{play}", play))
        with (self.folder / "far_end.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*ensure_tool("sipp"), "-sf", str(scenario), "-i", "127.0.0.1",
                 "-p", str(self.port), "-nostdin", "-trace_stat", "-stf",
                 str(self.folder / "far_end.csv"), "-fd", "1", "-f", "60",
                 "-mi", "127.0.0.1", "-min_rtp_port", "32000", "-max_rtp_port", "34999"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._sound is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._sound.close()

    @property
    def pid(self) -> int:
        """Of SIPp."""
        assert self._process is not None
        return self._process.pid

    def counts(self) -> dict[str, int]:
        """What it saw since its start, by its own books (a second old): calls, whole ones,
        failed ones, messages sent again."""
        with (self.folder / "far_end.csv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        last = rows[-1] if rows else {}
        names = {
            "calls": "TotalCallCreated",
            "whole": "SuccessfulCall(C)",
            "failed": "FailedCall(C)",
            "sent_again": "Retransmissions(C)",
        }
        return {name: int(last.get(column) or 0) for name, column in names.items()}


def _bound() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    return found

"""ask.py NAME: its A records by UDP from the published port."""
import socket
import struct
import sys

name = b"".join(bytes([len(part)]) + part.encode() for part in sys.argv[1].split(".")) + b"\0"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
    query.settimeout(2)
    query.connect(("127.0.0.1", 5353))
    query.send(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1))
    answer = query.recv(512)
    if struct.unpack("!H", answer[6:8])[0]:
        print(".".join(str(byte) for byte in answer[-4:]))
    else:
        print("no record")

#!/usr/bin/python3
"""announce.py DEVICE ADDRESS: tells everybody on this segment that the address is here now (gratuitous ARP).

Several times, as those do who move addresses: a neighbour that learnt of the old place within the last second does not
take the first word for it.
"""

import socket
import struct
import sys
import time

ETHERTYPE_ARP, REQUEST = 0x0806, 1
EVERYBODY = b"\xff" * 6
TIMES, BETWEEN = 5, 0.4


def main():
    device, address = sys.argv[1:]
    here = socket.inet_aton(address)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((device, 0))
        mac = wire.getsockname()[4]
        packet = (EVERYBODY + mac + struct.pack(">H", ETHERTYPE_ARP) + struct.pack(">HHBBH", 1, 0x0800, 6, 4, REQUEST)
                  + mac + here + EVERYBODY + here)
        for turn in range(TIMES):
            if turn:
                time.sleep(BETWEEN)
            wire.send(packet)


if __name__ == "__main__":
    main()

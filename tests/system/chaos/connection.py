"""A client's connection to one node, without ever waiting for it."""

import select

import nbd


class Connection:
    """To one node; it comes and goes with the node's role."""

    def __init__(self, uri, retry=0.1):
        self.uri, self.retry, self.handle = uri, retry, None
        self.flying = {}
        self.not_before = 0.0

    def open(self, now):
        self.not_before = now + self.retry
        self.handle = nbd.NBD()
        try:
            self.handle.aio_connect_uri(self.uri)
        except nbd.Error:
            self.handle = None

    def alive(self):
        return self.handle is not None and not self.handle.aio_is_dead() and not self.handle.aio_is_closed()

    def ready(self):
        return self.alive() and (self.handle.aio_is_ready() or self.handle.aio_is_processing())

    def interest(self):
        direction = self.handle.aio_get_direction()
        return ((select.POLLIN if direction & nbd.AIO_DIRECTION_READ else 0)
                | (select.POLLOUT if direction & nbd.AIO_DIRECTION_WRITE else 0))

    def notify(self, events):
        """Lets the library read or write; a connection that dies of it is found dead afterwards."""
        try:
            direction = self.handle.aio_get_direction()
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR) and direction & nbd.AIO_DIRECTION_READ:
                self.handle.aio_notify_read()
            elif events & select.POLLOUT and direction & nbd.AIO_DIRECTION_WRITE:
                self.handle.aio_notify_write()
        except nbd.Error:
            pass


def wait(connections, milliseconds):
    """Until one of them has something to do, and lets it do that."""
    poll, by_fd = select.poll(), {}
    for connection in connections:
        if connection.alive():
            by_fd[connection.handle.aio_get_fd()] = connection
            poll.register(connection.handle.aio_get_fd(), connection.interest())
    for descriptor, events in poll.poll(milliseconds):
        by_fd[descriptor].notify(events)

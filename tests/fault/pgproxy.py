# SPDX-License-Identifier: LGPL-2.1-or-later
"""A line to PostgreSQL that can be bad: passes on what comes through a UNIX socket,
later, or not at all. As a program it reads from its standard input what to do:
"pass", "delay SECONDS", "hang", "cut"."""
import asyncio
import os
import subprocess
import sys


class Line:
    def __init__(self, target):
        self.target = target
        self.delay = 0
        self.open = asyncio.Event()
        self.open.set()
        self.is_cut = False
        self.writers = set()

    async def pump(self, reader, writer):
        try:
            while data := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self.open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(self, reader, writer):
        if self.is_cut:
            writer.close()
            return
        try:
            from_server, to_server = await asyncio.open_unix_connection(self.target)
        except OSError:
            writer.close()
            return
        both = {writer, to_server}
        self.writers |= both
        await asyncio.gather(self.pump(reader, to_server), self.pump(from_server, writer))
        self.writers -= both

    def command(self, name, *args):
        self.delay = float(args[0]) if name == 'delay' else 0
        self.is_cut = name == 'cut'
        if name == 'hang':
            self.open.clear()
        else:
            self.open.set()
        if name == 'cut':
            for writer in self.writers:
                writer.transport.abort()


async def serve(path, target):
    line = Line(target)
    await asyncio.start_unix_server(line.accept, path)
    os.chmod(path, 0o777)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print('ready', flush=True)
    while command := await commands.readline():
        line.command(*command.decode().split())
        print('done', flush=True)


class Proxy:
    """The program, run as the service's user, since PostgreSQL asks who connects."""

    def __init__(self, folder, target_folder, user='dovecot', port=5432):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o777)
        name = '.s.PGSQL.%d' % port
        self.conninfo = 'host=%s port=%d dbname=team user=team_service' % (folder, port)
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), os.path.join(folder, name),
             os.path.join(target_folder, name)],
            user=user, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == 'ready\n'

    def command(self, text):
        self.process.stdin.write(text + '\n')
        self.process.stdin.flush()
        assert self.process.stdout.readline() == 'done\n'

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


if __name__ == '__main__':
    asyncio.run(serve(*sys.argv[1:]))

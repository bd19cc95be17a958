"""Google's own emulators as second opinions: where they are, starting and ending them.

They come with the Google Cloud SDK (`gcloud components install cloud-firestore-emulator pubsub-emulator`)
and need Java. `SKIP` is the exit code that says that they are not there.
"""

import contextlib
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import time

SKIP = 77
START_SECONDS = 60


def skip(reason):
    """Ends the script with a reason and the code for it."""
    print(f"SKIPPED: {reason}")
    sys.exit(SKIP)


def sdk():
    """The SDK's root folder."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        skip("there is no gcloud, which would say where Google's emulators are")
    asked = [gcloud, "info", "--format=value(installation.sdk_root)"]
    return pathlib.Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())


def free_port():
    """A port that nobody listens on, below those that the system gives to whoever asks for any: until the emulator
    has started, one of those may become somebody else's, who would be taken for the emulator."""
    while True:
        port = random.randrange(12_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def google(component, jars, main):
    """Runs a component; gives its `host:port`."""
    found = sorted((sdk() / "platform" / component).glob(jars))
    java = shutil.which("java")
    if not found or java is None:
        skip(f"there is no {component} in the Google Cloud SDK, or no Java")
    port = free_port()
    command = [java, "-Duser.language=en", "-cp", str(found[-1]), main, "--host=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def wait_until_it_listens(port, process):
    """Returns when the port takes connections; raises when the process ends or time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the emulator ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port} after {START_SECONDS} s")


def firestore():
    """Google's Firestore emulator."""
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    return google("cloud-firestore-emulator", "cloud-firestore-emulator.jar", main)


def pubsub(version="*"):
    """Google's Pub/Sub emulator, of this version where it matters."""
    return google("pubsub-emulator", f"lib/cloud-pubsub-emulator-{version}-all.jar", "com.google.cloud.pubsub.testing.v1.Main")

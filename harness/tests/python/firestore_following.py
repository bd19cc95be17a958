"""A Listen stream as a client follows it: what is in each target, from its events alone."""

import queue
import threading

from google.cloud.firestore_v1.types import ListenRequest, Target, TargetChange

END = object()


class Following:
    """The documents in each target of one stream, kept up by a thread of its own."""

    def __init__(self, client, database, targets, restarts=0):
        self.changed = threading.Condition()
        self.open = lambda: self.listen(client, database, targets)
        self.targets = {number: {} for number in targets}
        self.current = set()
        self.problem = None
        self.closed = False
        # How often the stream may break and be opened anew.
        self.restarts = restarts
        self.answers = self.open()
        threading.Thread(target=self.follow, daemon=True).start()

    def listen(self, client, database, targets):
        self.requests = queue.Queue()
        for number, target in targets.items():
            self.requests.put(ListenRequest(database=database, add_target=Target(target_id=number, **target)))
        # The backend finds the database in this header.
        metadata = [("google-cloud-resource-prefix", database)]
        return client.listen(iter(self.requests.get, END), metadata=metadata)

    def follow(self):
        while not self.closed and not self.problem:
            try:
                for answer in self.answers:
                    with self.changed:
                        self.apply(answer)
                        self.changed.notify_all()
                broken = "the stream ended"
            except Exception as error:  # told to whoever waits
                broken = f"the stream ended: {error!r}"
            with self.changed:
                if self.restarts == 0:
                    self.problem = self.problem or broken
                    self.changed.notify_all()
                else:
                    self.restarts -= 1
                    self.current.clear()
                    for documents in self.targets.values():
                        documents.clear()
                    self.requests.put(END)
                    if not self.closed:
                        self.answers = self.open()

    def apply(self, answer):
        if "target_change" in answer:
            change = answer.target_change
            of = list(change.target_ids) or list(self.targets)
            if change.target_change_type == TargetChange.TargetChangeType.RESET:
                for number in of:
                    self.targets[number].clear()
            elif change.target_change_type == TargetChange.TargetChangeType.CURRENT:
                self.current.update(of)
            elif change.target_change_type == TargetChange.TargetChangeType.REMOVE:
                self.problem = f"targets {of} were removed: {change.cause}"
        elif "document_change" in answer:
            change = answer.document_change
            for number in change.target_ids:
                self.targets[number][change.document.name] = change.document
            for number in change.removed_target_ids:
                self.targets[number].pop(change.document.name, None)
        elif "document_delete" in answer or "document_remove" in answer:
            gone = answer.document_delete if "document_delete" in answer else answer.document_remove
            for number in gone.removed_target_ids:
                self.targets[number].pop(gone.document, None)
        elif "filter" in answer and len(self.targets[answer.filter.target_id]) != answer.filter.count:
            # A client would begin the target anew.
            self.problem = f"a filter says {answer.filter.count} of target {answer.filter.target_id}"

    def wait_for(self, holds, seconds=20):
        """Waits until `holds` of the targets' documents; what it is instead, where it never does."""
        with self.changed:
            fine = lambda: len(self.current) == len(self.targets) and holds(self.targets)  # noqa: E731
            self.changed.wait_for(lambda: self.problem or fine(), seconds)
            if self.problem:
                return self.problem
            return None if fine() else {number: sorted(documents) for number, documents in self.targets.items()}

    def close(self):
        self.closed = True
        self.requests.put(END)
        self.answers.cancel()

//! All emulators in one process on one port.

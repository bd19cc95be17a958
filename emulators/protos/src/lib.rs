//! Generated messages, server traits and descriptors of the Google APIs.

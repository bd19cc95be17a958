//! Contention as recorded, and a model test of its promises.

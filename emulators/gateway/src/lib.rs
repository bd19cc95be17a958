//! One loopback port for all services: gRPC, transcoded REST, faults, journal, admin.

# The services in a container: one static binary and nothing else.
#
#   rustup target add x86_64-unknown-linux-musl     (and musl-gcc: Debian's package musl-tools)
#   cargo build --profile image --target x86_64-unknown-linux-musl -p scrimmage-suite
#   docker build -t scrimmage .
#   docker run --rm --network host scrimmage --port 8080
#
# The services listen on the loopback address only, hence the machine's own network.
FROM scratch
ARG BINARY=target/x86_64-unknown-linux-musl/image/scrimmage-suite
COPY ${BINARY} /scrimmage-suite
EXPOSE 8080
ENTRYPOINT ["/scrimmage-suite"]

# Built from the repository's root; both images are of the same Debian, so that the binary finds its libc.
FROM rust:1.95-slim-trixie AS build
WORKDIR /lb
COPY . .
RUN cargo build --release --locked

FROM debian:trixie-slim
COPY --from=build /lb/target/release/lb /usr/local/bin/lb
RUN useradd --system lb
USER lb
ENTRYPOINT ["lb"]
CMD ["run", "/etc/lb/lb.toml"]

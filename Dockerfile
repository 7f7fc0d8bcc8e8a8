# A small image with one server: `docker build -t roomwire .`, or with `--build-arg ADAPTER=mio` for another adapter.
# Run it with `docker run -p 8080:8080 roomwire`; every setting is an environment variable or a flag.
FROM rust:1-slim-bookworm AS build
ARG ADAPTER=tokio
WORKDIR /roomwire
COPY . .
RUN cargo build --locked --release --package "roomwire-$ADAPTER" \
 && mv "target/release/roomwire-$ADAPTER" /usr/local/bin/roomwire

FROM debian:bookworm-slim
COPY --from=build /usr/local/bin/roomwire /usr/local/bin/roomwire
USER 65534:65534
# Everything that reaches the container may connect: it is for who runs it to say what does.
ENV ROOMWIRE_LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/roomwire"]

# syntax=docker/dockerfile:1
# Alpine's Rust links statically with musl, so that the program needs nothing beside itself.
FROM rust:1-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
# The two caches keep the compiled dependencies between builds; the program leaves them before they are unmounted.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin taskbatch && cp target/dist/taskbatch /taskbatch

FROM scratch
LABEL org.opencontainers.image.title="taskbatch" \
      org.opencontainers.image.description="Plans, sizes, places and runs batches of AI tasks on Kubernetes" \
      org.opencontainers.image.source="https://github.com/taskbatch/taskbatch" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /taskbatch /taskbatch
# A number, not a name, so that the kubelet can verify runAsNonRoot.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/taskbatch"]
CMD ["run"]

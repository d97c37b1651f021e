# hoplab and its k6 as an image, made by GoReleaser from the programs of the
# release: nothing is compiled here. It runs without root and without a shell;
# a run directory is a volume at /work that user 65532 can write to.
FROM alpine:3.22 AS base
RUN apk add --no-cache ca-certificates && mkdir -p /empty

FROM scratch
ARG TARGETPLATFORM
ARG TARGETOS
ARG TARGETARCH
COPY --from=base /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=base --chown=65532:65532 /empty /work
COPY --from=base --chown=65532:65532 /empty /tmp
COPY $TARGETPLATFORM/hoplab /hoplab
COPY bin/release/k6/${TARGETOS}_${TARGETARCH}/hoplab-k6 /hoplab-k6
ENV XDG_CACHE_HOME=/tmp HOME=/tmp
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/hoplab"]

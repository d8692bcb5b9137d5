# The image as `make image` makes it, for who builds with docker: make build && docker build -t nscope .
FROM scratch
LABEL org.opencontainers.image.title=nscope \
      org.opencontainers.image.description="Shows every network namespace of a container host and how they are wired together" \
      org.opencontainers.image.source=https://github.com/nscope/nscope \
      org.opencontainers.image.licenses=Apache-2.0
COPY bin/nscope /nscope
ENTRYPOINT ["/nscope"]

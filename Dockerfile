# A node of Antipode. compose/README.md runs several of them.
FROM node:24-bookworm-slim

# The Node that npm brings needs it, and a slim Debian has none.
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/antipode
# Packages first: they change seldom.
COPY package.json package-lock.json ./
RUN npm install --omit=dev --no-save --no-audit --no-fund && npm cache clean --force
COPY . .

# A new volume takes its owner from the directory it is mounted over.
RUN mkdir -p /etc/antipode/tls /var/lib/antipode && chown node:node /etc/antipode/tls /var/lib/antipode
VOLUME /var/lib/antipode
USER node

ENTRYPOINT ["/opt/antipode/bin/antipode"]
CMD ["agent", "--config", "/etc/antipode/node.toml"]
# The agent stops its processes in order, then itself.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
  CMD ["/opt/antipode/bin/antipode", "health", "--config", "/etc/antipode/node.toml"]

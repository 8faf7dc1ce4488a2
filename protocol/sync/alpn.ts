/** What a syncer names in its TLS handshake with a peer's database port (ALPN, RFC 7301); clients name nothing. */
export const syncAlpn = 'antipode-sync/1'

//! The HTTP client that looks at a service.

/// A client that uses no proxy and trusts nobody: the services are on loopback and speak plainly.
pub fn client() -> reqwest::Client {
    // Fails only when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

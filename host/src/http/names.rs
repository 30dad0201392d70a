//! Names of header fields, and what becomes of them behind gateways.
//!
//! CGI, WSGI and their kin have no `-` in their variables' names, and write `_` for it, or for whatever is no letter and
//! no digit: to them `X_SSL_Client_CN` is `X-SSL-Client-CN`. Who may write only the one writes the other.

/// Whether a name is made of letters, digits and `-`, as those of nearly all fields are.
pub fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// Whether a gateway may take a name for another one.
pub fn passes_for(name: &[u8], other: &[u8]) -> bool {
    let folded = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == other.len() && name.iter().zip(other).all(|(one, two)| folded(*one) == folded(*two))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_passes_for_another_with_a_hyphen_in_some_place() {
        assert!(is_plain(b"X-A-1") && !is_plain(b"x_a") && !is_plain(b"x.a"));
        for name in ["x_ssl_client_cn", "X-SSL_Client.CN", "x-ssl-client-cn"] {
            assert!(passes_for(name.as_bytes(), b"x-ssl-client-cn"), "{name}");
        }
        for name in ["x_ssl_client_c", "xssl_client_cn_", "x_ssl_client_dn"] {
            assert!(!passes_for(name.as_bytes(), b"x-ssl-client-cn"), "{name}");
        }
    }
}

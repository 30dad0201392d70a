//! HTTP/2 with clients.

/// What clients of HTTP/2 may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2 {
    /// Requests of one connection at the same time.
    pub max_concurrent_streams: u32,
    /// What may be sent on a stream before it is asked for, in bytes.
    pub initial_window_size: u32,
    /// What may be sent on a connection before it is asked for, in bytes.
    pub initial_connection_window_size: u32,
    /// The largest frame, in bytes.
    pub max_frame_size: u32,
    /// The largest head, uncompressed and with 32 bytes more for each line (RFC 9113, section 6.5.2). `None`: what a
    /// buffer holds.
    pub max_header_list_size: Option<usize>,
}

impl Default for Http2 {
    fn default() -> Http2 {
        Http2 {
            max_concurrent_streams: 100,
            initial_window_size: 65_535,
            initial_connection_window_size: 1 << 18,
            max_frame_size: 16_384,
            max_header_list_size: None,
        }
    }
}

//! The handshake: the first frame in each direction, without a header.

use jute::{Encode, Error, Reader, Writer};

/// Size of a session's password in bytes.
pub const PASSWORD_SIZE: usize = 16;

/// What a client opens or renews a session with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Sent as 0; nobody checks it.
    pub protocol_version: i32,
    /// The highest zxid that the client has seen.
    pub last_zxid_seen: i64,
    /// The session time-out that the client asks for, in ms.
    pub timeout_ms: i32,
    /// 0 for a new session.
    pub session_id: i64,
    /// The session's password; null counts as empty.
    pub password: &'a [u8],
    /// Whether a read-only server will do; `None` from clients older than 3.4.
    pub read_only: Option<bool>,
}

impl ConnectRequest<'static> {
    /// What a client opens a new session with: it has seen nothing, and wants a server that takes
    /// writes. The time-out that it asks for is in ms.
    #[must_use]
    pub const fn new_session(timeout_ms: i32) -> Self {
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms,
            session_id: 0,
            password: &[0; PASSWORD_SIZE],
            read_only: Some(false),
        }
    }
}

impl<'a> ConnectRequest<'a> {
    /// Reads the frame's payload. What follows the last field is ignored.
    ///
    /// # Errors
    /// If the payload ends early or a length is not allowed.
    pub fn decode(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(ConnectRequest {
            protocol_version: r.int()?,
            last_zxid_seen: r.long()?,
            timeout_ms: r.int()?,
            session_id: r.long()?,
            password: r.buffer()?.unwrap_or_default(),
            read_only: if r.is_empty() { None } else { Some(r.bool()?) },
        })
    }
}

impl Encode for ConnectRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let w = Writer::new(out)
            .int(self.protocol_version)
            .long(self.last_zxid_seen)
            .int(self.timeout_ms)
            .long(self.session_id)
            .buffer(Some(self.password));
        if let Some(read_only) = self.read_only {
            w.bool(read_only);
        }
    }
}

/// The server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// The negotiated session time-out in ms; 0 when the session is refused.
    pub timeout_ms: i32,
    /// The session; 0 when refused.
    pub session_id: i64,
    /// The session's password; zeros when refused.
    pub password: [u8; PASSWORD_SIZE],
    /// Whether this server is read-only; left out for clients that did not say.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// The answer to a session that is over, or whose password is wrong.
    #[must_use]
    pub fn refused(read_only: Option<bool>) -> ConnectResponse {
        ConnectResponse { timeout_ms: 0, session_id: 0, password: [0; PASSWORD_SIZE], read_only }
    }

    /// Reads the frame's payload.
    ///
    /// # Errors
    /// If the payload ends early or the password has another size.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.int()?;
        let timeout_ms = r.int()?;
        let session_id = r.long()?;
        let password = r.buffer()?.unwrap_or_default();
        let length = i32::try_from(password.len()).unwrap_or(i32::MAX);
        Ok(ConnectResponse {
            timeout_ms,
            session_id,
            password: password.try_into().map_err(|_| Error::BadLength(length))?,
            read_only: if r.is_empty() { None } else { Some(r.bool()?) },
        })
    }
}

impl Encode for ConnectResponse {
    fn encode(&self, out: &mut Vec<u8>) {
        let w = Writer::new(out)
            .int(0)
            .int(self.timeout_ms)
            .long(self.session_id)
            .buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            w.bool(read_only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectRequest, ConnectResponse};
    use jute::{Encode, Reader};

    #[test]
    fn the_old_form_has_44_bytes_and_is_answered_with_36() {
        let mut bytes = Vec::new();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 7,
            timeout_ms: 10_000,
            session_id: 0,
            password: &[0; 16],
            read_only: None,
        };
        request.encode(&mut bytes);
        assert_eq!(bytes.len(), 44);
        assert_eq!(ConnectRequest::decode(&mut Reader::new(&bytes)), Ok(request));
        let mut bytes = Vec::new();
        ConnectResponse::refused(None).encode(&mut bytes);
        assert_eq!(bytes.len(), 36);
        bytes.clear();
        ConnectResponse::refused(Some(false)).encode(&mut bytes);
        assert_eq!(bytes.len(), 37);
    }
}

//! A client that writes its bytes itself: for requests that no decent client sends, and for reading as slowly or
//! as little as a test wants.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{
    client::Reply,
    world::{TOKEN, World},
};

/// Longest wait for bytes. Above the ten seconds that a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Wire {
    stream: TcpStream,
    /// What has come and was not taken yet.
    read: Vec<u8>,
}

impl Wire {
    pub async fn open(world: &World) -> Self {
        Self::over(world, TcpSocket::new_v4().unwrap()).await
    }

    /// With so little room for what comes that a server notices soon when nobody reads.
    pub async fn narrow(world: &World) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::over(world, socket).await
    }

    async fn over(world: &World, socket: TcpSocket) -> Self {
        let address = world.orchestrator.as_ref().unwrap().address();
        let stream = timeout(PATIENCE, socket.connect(address)).await;
        Self {
            stream: stream.expect("connected in time").unwrap(),
            read: Vec::new(),
        }
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes).await.unwrap();
    }

    /// Where the other end may have gone, and rightly.
    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        let sent = timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("written in time")
    }

    /// Whatever comes next; nothing at the end, and where the connection is cut.
    pub async fn some(&mut self) -> Vec<u8> {
        if !self.read.is_empty() {
            return std::mem::take(&mut self.read);
        }
        let mut bytes = vec![0; 16 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await;
        let read = read.expect("bytes or an end in time").unwrap_or_default();
        bytes.truncate(read);
        bytes
    }

    /// The status and the headers of an answer; nothing where the connection ends before.
    pub async fn head(&mut self) -> Option<(u16, HeaderMap)> {
        let mut head = Vec::new();
        let end = loop {
            let find = |head: &[u8]| head.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = find(&head) {
                break end + 4;
            }
            let more = self.some().await;
            if more.is_empty() {
                return None;
            }
            head.extend(more);
        };
        self.read = head.split_off(end);
        let text = String::from_utf8(head).unwrap();
        let mut lines = text.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                value.parse::<HeaderValue>().unwrap(),
            )
        });
        Some((status, headers.collect()))
    }

    /// One answer with the length that it names; nothing where the connection ends before.
    pub async fn reply(&mut self) -> Option<Reply> {
        let (status, headers) = self.head().await?;
        let length = headers.get("content-length");
        let length: usize = length.map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        let mut body = Vec::new();
        while body.len() < length {
            let more = self.some().await;
            assert!(
                !more.is_empty(),
                "the answer ended after {} bytes",
                body.len()
            );
            body.extend(more);
        }
        self.read = body.split_off(length);
        Some(Reply {
            status,
            headers,
            body,
        })
    }
}

/// A plain request with the right host and token, and these lines more.
pub fn request(world: &World, line: &str, more: &[&str]) -> String {
    let host = world.orchestrator.as_ref().unwrap().address();
    with_host(line, &[&format!("Host: {host}")], more)
}

/// The same with these lines for the host.
pub fn with_host(line: &str, hosts: &[&str], more: &[&str]) -> String {
    let token = format!("Authorization: Bearer {TOKEN}");
    let lines = [line].into_iter().chain(hosts.iter().copied());
    let lines = lines.chain([token.as_str()]).chain(more.iter().copied());
    let lines: Vec<_> = lines.collect();
    lines.join("\r\n") + "\r\n\r\n"
}

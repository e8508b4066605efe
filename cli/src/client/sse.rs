//! Server-Sent Events as lines become blocks, wherever the network cuts them. What a block means is left to
//! `events`.

/// Longest block that is kept: far above what the server sends, so that a fault of it costs no memory.
const MOST_BYTES: usize = 16 << 20;

/// What stands between two empty lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// The place in the stream: `id:`.
    pub id: Option<String>,
    /// The type: `event:`.
    pub event: Option<String>,
    /// What is said: `data:`, several lines as one text.
    pub data: Option<String>,
    /// How long to wait before the next connection, in milliseconds: `retry:`.
    pub retry: Option<u64>,
}

/// Reads a stream piece by piece.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to the same line end.
    after_cr: bool,
    begun: bool,
    block: Block,
    bytes: usize,
}

/// A block that is longer than anything that this server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {} MiB", MOST_BYTES >> 20)]
pub struct TooLarge;

impl Parser {
    /// Takes what came; gives the blocks that are whole by now.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<Block>, TooLarge> {
        let mut whole = Vec::new();
        for &byte in piece {
            let follows_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if follows_cr => {}
                b'\n' | b'\r' => whole.extend(self.end_line()),
                _ if self.bytes >= MOST_BYTES => return Err(TooLarge),
                _ => {
                    self.bytes += 1;
                    self.line.push(byte);
                }
            }
        }
        Ok(whole)
    }

    fn end_line(&mut self) -> Option<Block> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = match std::mem::replace(&mut self.begun, true) {
            false => text.strip_prefix('\u{feff}').unwrap_or(&text),
            true => &text,
        };
        if text.is_empty() {
            self.bytes = 0;
            let block = std::mem::take(&mut self.block);
            return (block != Block::default()).then_some(block);
        }
        // A colon in front makes a comment: it only says that the line is alive.
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "id" if !value.contains('\0') => self.block.id = Some(value.to_owned()),
            "event" => self.block.event = Some(value.to_owned()),
            "retry" => {
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse().ok().filter(|_| is_number);
                self.block.retry = number.or(self.block.retry);
            }
            "data" => match &mut self.block.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(id: &str, event: &str, data: &str) -> Block {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Block {
            id: text(id),
            event: text(event),
            data: text(data),
            retry: None,
        }
    }

    const STREAM: &str = "retry: 2000\n\nid: 7\n\n: alive\n\nid:8\nevent: bead.created\ndata: {\"a\":\ndata: \"ü\"}\n\n:\n\nid: 9\ndata: x\n\ndata: not whole";

    fn expected() -> Vec<Block> {
        vec![
            Block {
                retry: Some(2000),
                ..Block::default()
            },
            block("7", "", ""),
            block("8", "bead.created", "{\"a\":\n\"ü\"}"),
            block("9", "", "x"),
        ]
    }

    #[test]
    fn blocks_are_whole_with_every_line_end() {
        for end in ["\n", "\r\n", "\r"] {
            let text = STREAM.replace('\n', end);
            let found = Parser::default().push(text.as_bytes()).unwrap();
            assert_eq!(found, expected(), "{end:?}");
        }
    }

    #[test]
    fn the_network_may_cut_anywhere() {
        let text = STREAM.replace('\n', "\r\n");
        for cut in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let mut parser = Parser::default();
            let mut found = parser.push(first).unwrap();
            found.extend(parser.push(second).unwrap());
            assert_eq!(found, expected(), "cut at {cut}");
        }
        let mut parser = Parser::default();
        let bytes = text.as_bytes().chunks(1);
        let found: Vec<Block> = bytes.flat_map(|one| parser.push(one).unwrap()).collect();
        assert_eq!(found, expected());
    }

    #[test]
    fn odd_fields_are_passed_over() {
        let odd = "\u{feff}data\nid: a\0b\nretry: +1\nretry: soon\ncolour: blue\ndata:  two\n\n";
        let found = Parser::default().push(odd.as_bytes()).unwrap();
        assert_eq!(found, [block("", "", "\n two")]);
        assert_eq!(Parser::default().push(b"\n\n\r\n").unwrap(), []);
    }

    #[test]
    fn a_block_without_an_end_takes_no_more_memory_than_permitted() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        let taken = (0..20).take_while(|_| parser.push(&piece).is_ok()).count();
        assert_eq!(taken, MOST_BYTES >> 20);
    }
}

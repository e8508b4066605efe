//! The differences of a run, within bounds: each a part, so that one large file does not hide what happens to
//! the others, and what is left out with its size.

/// Of one difference, and of all, in bytes. A result travels in one message of 1 MiB.
const MAX_ONE: usize = 32 * 1024;
const MAX_ALL: usize = 128 * 1024;

/// Differences as they will be shown; redacted by the caller.
#[derive(Debug, Default)]
pub(super) struct Diffs {
    text: String,
    /// Those for which there was no room at all.
    more: u64,
    more_bytes: u64,
}

impl Diffs {
    /// Takes a difference, of which so many bytes were left out already.
    pub(super) fn add(&mut self, header: &str, diff: &str, left_out: u64) {
        let diff = diff.trim_end();
        let end = diff.floor_char_boundary(MAX_ONE);
        let left_out = left_out + (diff.len() - end) as u64;
        let mut piece = format!("{header}\n{}\n", &diff[..end]);
        if left_out > 0 {
            let size = size(left_out);
            piece.push_str(&format!("(of this difference, {size} are left out)\n"));
        }
        if self.text.len() + piece.len() <= MAX_ALL {
            self.text.push_str(&piece);
        } else {
            self.more += 1;
            self.more_bytes = self
                .more_bytes
                .saturating_add(end as u64)
                .saturating_add(left_out);
        }
    }

    /// All of it; nothing where nothing differed.
    pub(super) fn into_text(mut self) -> Option<String> {
        if self.more > 0 {
            let note = format!(
                "\n({} more differences are left out, {})\n",
                self.more,
                size(self.more_bytes)
            );
            self.text.push_str(&note);
        }
        (!self.text.is_empty()).then_some(self.text)
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

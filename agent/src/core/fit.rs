//! Makes a result fit for the wire: texts cut to their bounds from the front (the end tells most), and
//! the whole below the size of an envelope whatever escaping makes of it.

use chiffon_common::{HostSummary, WorkResult};

/// Longest output, and longest diff, in bytes.
pub(crate) const MAX_TEXT: usize = 256 * 1024;
/// What a confirmed result keeps of its texts, for whoever asks again.
const KEPT_TEXT: usize = 4 * 1024;
/// Longest explanation in bytes.
const MAX_DETAIL: usize = 8 * 1024;
/// Largest result as JSON; the rest of the envelope's 1 MiB is for its head.
const MAX_JSON: usize = 960 * 1024;
/// Below this, shorter texts are no help.
const MIN_TEXT: usize = 1024;

/// The end of a text, at most this many bytes, cut between characters, with a mark.
pub(crate) fn tail(text: &mut String, most: usize) {
    if text.len() <= most {
        return;
    }
    let mark = format!(
        "[... cut: the first part of {} bytes is left out ...]\n",
        text.len()
    );
    let mut from = text.len() - most.saturating_sub(mark.len());
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.replace_range(..from, &mark);
}

/// The beginning of a text, at most this many bytes, cut between characters, with a mark.
pub(crate) fn head(text: &mut String, most: usize) {
    const MARK: &str = " [cut]";
    if text.len() <= most {
        return;
    }
    let mut end = most.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(MARK);
}

/// Within all bounds.
pub(super) fn fit(mut result: WorkResult) -> WorkResult {
    // JSON has no word for what is no number; the journal could not read it back.
    for number in [
        &mut result.duration_seconds,
        &mut result.resource_usage.cpu_hours,
        &mut result.resource_usage.memory_peak_gb,
    ] {
        if !number.is_finite() {
            *number = 0.0;
        }
    }
    head(&mut result.isolation, MAX_DETAIL);
    if let Some(error) = &mut result.error {
        head(&mut error.detail, MAX_DETAIL);
        head(&mut error.todo, MAX_DETAIL);
    }
    let mut most = MAX_TEXT;
    cut_texts(&mut result, most);
    while json_len(&result) > MAX_JSON && most > MIN_TEXT {
        most /= 2;
        cut_texts(&mut result, most);
    }
    if json_len(&result) > MAX_JSON {
        result.hosts.values_mut().for_each(strip);
    }
    // Only a play over thousands of hosts comes here: names and outcomes go too, the output stays.
    while json_len(&result) > MAX_JSON && !result.hosts.is_empty() {
        let half = result.hosts.len() / 2;
        while result.hosts.len() > half {
            result.hosts.pop_last();
        }
    }
    result
}

/// What is kept once the orchestrator has it.
pub(super) fn shorten_for_keeping(result: &mut WorkResult) {
    cut_texts(result, KEPT_TEXT);
    result.output.shrink_to_fit();
    let large =
        |host: &HostSummary| serde_json::to_vec(host).map_or(0, |json| json.len()) > KEPT_TEXT;
    result
        .hosts
        .values_mut()
        .filter(|host| large(host))
        .for_each(strip);
}

fn cut_texts(result: &mut WorkResult, most: usize) {
    tail(&mut result.output, most);
    if let Some(diff) = &mut result.diff {
        tail(diff, most);
    }
}

fn strip(host: &mut HostSummary) {
    for text in [&mut host.message, &mut host.answer].into_iter().flatten() {
        head(text, 200);
    }
    host.data.clear();
}

fn json_len(result: &WorkResult) -> usize {
    serde_json::to_vec(result).map_or(usize::MAX, |json| json.len())
}

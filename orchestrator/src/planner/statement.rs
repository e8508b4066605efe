//! Whether words tell how something is or what happens, instead of asking for it. What follows is left to `clause`.

use super::{
    read::{Read, Sense},
    words::{self, Kind, Language},
};

/// Endings of actions that are over.
const OVER: [&str; 9] = [
    "ed",
    "iert",
    "gestartet",
    "gestoppt",
    "geloscht",
    "entfernt",
    "gesichert",
    "gebootet",
    "hergestellt",
];

/// "nginx restarted", "tower is rebooting", "nginx redémarre sur web1": what happens is told, not asked for.
pub(super) fn tells_what_happens(read: &Read<'_>, from: usize, to: usize, verbs: &[usize]) -> bool {
    let Some(verb) = verbs.first().copied() else {
        return false;
    };
    let asks = (from..to).any(|at| {
        let word = read.tokens[at].folded.as_str();
        words::is_in("own wishes", word)
            || words::is_in("asking forms", word)
            || read.canonical[at] == "want"
            || read.is_mark(at, "polite")
    });
    let word = read.tokens[verb].folded.as_str();
    let is_over = OVER.iter().any(|end| word.ends_with(end))
        || ["é", "és"]
            .iter()
            .any(|end| read.tokens[verb].written.ends_with(end));
    let goes_on = word.ends_with("ing")
        && (from..verb).any(|at| words::is_in("going on", &read.tokens[at].folded));
    // In French the same form orders and tells; who does it stands before it.
    let subject = verb
        .checked_sub(1)
        .filter(|before| *before >= from && !read.tokens[*before].ends_part());
    let has_subject = subject.is_some_and(|before| match read.senses[before] {
        Sense::Host(n) => !read.mentions[n].is_place,
        sense => sense == Sense::Unknown && read.tokens[before].is_word(),
    });
    // "Nas reboots", "nas startet neu": who does it comes first; "has rebooted".
    let third =
        word.ends_with('s') && verb > from && !words::is_in("the", &read.tokens[verb - 1].folded)
            || word.ends_with('t')
                && read.language == Some(Language::German)
                && read.tokens[verb].folded.len() > 4;
    let has_auxiliary = verb
        .checked_sub(1)
        .is_some_and(|before| words::is_in("having done", &read.tokens[before].folded));
    // "Nginx auf nas startet neu": what it is about comes first, with its place.
    let is_place =
        |at: usize| matches!(read.senses[at], Sense::Host(n) if read.mentions[n].is_place);
    let is_name = |at: usize| {
        read.tokens[at].is_word() && read.senses[at] == Sense::Unknown
            || matches!(read.senses[at], Sense::Known(meaning) if meaning.is_name)
    };
    let is_of_subject = |at: usize| {
        is_name(at)
            || is_place(at)
            || words::is_in("articles", &read.tokens[at].folded)
            || matches!(read.senses[at], Sense::Known(meaning) if meaning.kind == Kind::Noun)
    };
    let begins = (from + 1 < verb)
        && (from..verb).any(is_name)
        && (from..verb).all(is_of_subject)
        && !(from..verb).any(|at| read.tokens[at].ends_part());
    let is_third = third && !word.ends_with('t') || word.ends_with("et");
    if is_over && has_auxiliary || third && has_subject || is_third && begins {
        return true;
    }
    let is_form = word.starts_with("redemarr") || word.starts_with("relanc");
    let is_french = (read.language == Some(Language::French) || read.language.is_none() && is_form)
        && word.ends_with('e');
    !asks && (is_over || goes_on || is_french && (has_subject || begins))
}

/// Whether a segment says how something is.
pub(super) fn states(read: &Read<'_>, from: usize, to: usize) -> bool {
    let is_state = |at: usize| {
        words::is_in("auxiliaries", &read.tokens[at].folded) && read.tokens[at].is_word()
            || read.is_mark(at, "aux")
            || matches!(read.kind(at), Some(Kind::Filler))
                && read.senses.get(at).is_some_and(
                    |sense| matches!(sense, Sense::Known(meaning) if meaning.name == "reason"),
                )
    };
    // "Is it", "with it", "as user ...": no statement begins so.
    let begins = !matches!(read.senses[from], Sense::Host(n) if read.mentions[n].is_place)
        && !read.is_mark(from, "ask")
        && ![
            "condition",
            "log",
            "why",
            "howto",
            "later",
            "doubt",
            "except",
            "keep",
            "contrast",
        ]
        .iter()
        .any(|name| (from..to).any(|at| read.is_mark(at, name)))
        && !words::is_in("no statement begins", &read.tokens[from].folded);
    begins && (from + 1..to).any(is_state)
        || begins && to > from + 1 && is_state(from) && begins_reason(read, from)
}

pub(super) fn begins_reason(read: &Read<'_>, at: usize) -> bool {
    words::is_in("reason beginnings", &read.tokens[at].folded)
}

/// Nouns that lead to a value: what names one is no mere remark.
const LEADS: [&str; 15] = [
    "port",
    "mode",
    "owner",
    "user",
    "snapshot",
    "repository",
    "schedule",
    "content",
    "command",
    "key",
    "cron",
    "compose",
    "existing_portals",
    "volumes",
    "ssh",
];
/// Marks that bear on what is done.
const BEARING: [&str; 12] = [
    "except",
    "keep",
    "or",
    "condition",
    "later",
    "log",
    "why",
    "howto",
    "doubt",
    "instead",
    "contrast",
    "forget",
];

/// Whether a noun of these leads to a value.
pub(super) fn leads_to_value(read: &Read<'_>, from: usize, to: usize) -> bool {
    (from..to)
        .any(|at| matches!(read.senses[at], Sense::Known(meaning) if LEADS.contains(&meaning.name)))
}

fn is_saying(word: &str) -> bool {
    words::is_in("saying", word)
}

/// Whether a part without an action only tells something beside the request: "nobody prints here", "it's movie night". What
/// restricts, names a place or gives a value is none.
pub(super) fn is_remark(read: &Read<'_>, from: usize, to: usize) -> bool {
    let is_wish = (from..to).any(|at| {
        read.canonical[at] == "want" || words::is_in("own wishes", &read.tokens[at].folded)
    });
    if is_wish
        && (from..to)
            .any(|at| read.senses[at] == Sense::Unknown || read.kind(at) == Some(Kind::Noun))
    {
        return false;
    }
    let is_story = read.is_mark(from, "story");
    let states = is_story || states(read, from, to);
    let (mut known, mut words) = (0, 0);
    for at in from..to {
        match read.senses[at] {
            Sense::Data | Sense::When => return false,
            Sense::Host(n) if read.mentions[n].is_excluded || !states => return false,
            Sense::Host(_) => known += 1,
            Sense::Part => words += 1,
            Sense::Unknown => words += 1,
            Sense::Known(meaning) => match meaning.kind {
                Kind::Mark if meaning.name == "later" && is_story => known += 1,
                Kind::Mark if BEARING.contains(&meaning.name) => return false,
                Kind::Mark if meaning.name == "and" => {}
                Kind::Weak if meaning.name != "want" => return false,
                Kind::Noun
                    if LEADS.contains(&meaning.name) && !is_saying(&read.tokens[at].folded) =>
                {
                    return false;
                }
                Kind::Noun if meaning.is_name && !states => return false,
                _ => known += 1,
            },
        }
    }
    let first = read.tokens[from].folded.as_str();
    known > 0
        && known + words > 1
        && !words::is_in("restricting", first)
        && (!words::is_in("with", first) || states)
}

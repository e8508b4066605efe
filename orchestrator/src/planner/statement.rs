//! Whether words tell how something is or what happens, instead of asking for it. What follows is left to `clause`.

use super::{
    read::{Read, Sense},
    words::{Kind, Language},
};

/// What turns a statement about oneself into a wish.
pub(super) const WISHES: [&str; 26] = [
    "need",
    "needs",
    "want",
    "wants",
    "like",
    "would",
    "must",
    "should",
    "brauche",
    "brauchen",
    "mochte",
    "mochten",
    "will",
    "wollen",
    "muss",
    "mussen",
    "soll",
    "sollten",
    "veux",
    "voudrais",
    "voudrions",
    "aimerais",
    "faut",
    "dois",
    "hatte",
    "i'd",
];

const AUXILIARIES: [&str; 40] = [
    "is",
    "are",
    "has",
    "have",
    "was",
    "were",
    "am",
    "isn't",
    "aren't",
    "it's",
    "i'm",
    "he's",
    "there's",
    "does",
    "doesn't",
    "don't",
    "didn't",
    "hasn't",
    "uses",
    "needs",
    "ist",
    "sind",
    "hat",
    "haben",
    "habe",
    "war",
    "bin",
    "wird",
    "braucht",
    "brauche",
    "est",
    "sont",
    "a",
    "ai",
    "ont",
    "etait",
    "suis",
    "repond",
    "antwortet",
    "responds",
];
/// With what a reason begins that is told after the request.
const REASONS: [&str; 41] = [
    "it", "it's", "i", "i'm", "we", "we're", "he", "he's", "she", "they", "nobody", "there",
    "there's", "that", "this", "because", "since", "der", "die", "das", "es", "er", "sie", "ich",
    "wir", "niemand", "weil", "denn", "da", "il", "elle", "ca", "c'", "je", "j'", "on", "personne",
    "car", "parce", "its", "nous",
];

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
/// Words with which such a form asks for something all the same: "it should be restarted".
const ASKED: [&str; 27] = [
    "be", "get", "gets", "please", "bitte", "werden", "sollen", "soll", "sollte", "have", "having",
    "to", "mind", "kannst", "gehort", "doit", "devrait", "etre", "peux", "faire", "faudrait",
    "merci", "i'd", "needs", "sure", "ensure", "sorg",
];

/// "nginx restarted", "tower is rebooting", "nginx redémarre sur web1": what happens is told, not asked for.
pub(super) fn tells_what_happens(read: &Read<'_>, from: usize, to: usize, verbs: &[usize]) -> bool {
    let Some(verb) = verbs.first().copied() else {
        return false;
    };
    let asks = (from..to).any(|at| {
        let word = read.tokens[at].folded.as_str();
        WISHES.contains(&word)
            || ASKED.contains(&word)
            || read.canonical[at] == "want"
            || read.is_mark(at, "polite")
    });
    let word = read.tokens[verb].folded.as_str();
    let is_over = OVER.iter().any(|end| word.ends_with(end))
        || ["é", "és"]
            .iter()
            .any(|end| read.tokens[verb].written.ends_with(end));
    let goes_on = word.ends_with("ing")
        && (from..verb).any(|at| {
            ["is", "are", "keeps", "it's", "he's", "am", "i'm", "we're"]
                .contains(&read.tokens[at].folded.as_str())
        });
    // In French the same form orders and tells; who does it stands before it.
    let subject = verb
        .checked_sub(1)
        .filter(|before| *before >= from && !read.tokens[*before].ends_part());
    let has_subject = subject.is_some_and(|before| match read.senses[before] {
        Sense::Host(n) => !read.mentions[n].is_place,
        sense => sense == Sense::Unknown && read.tokens[before].is_word(),
    });
    let is_french = read.language == Some(Language::French) && word.ends_with('e');
    !asks && (is_over || goes_on || is_french && has_subject)
}

/// Whether a segment says how something is.
pub(super) fn states(read: &Read<'_>, from: usize, to: usize) -> bool {
    let is_state = |at: usize| {
        AUXILIARIES.contains(&read.tokens[at].folded.as_str()) && read.tokens[at].is_word()
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
        ]
        .iter()
        .any(|name| (from..to).any(|at| read.is_mark(at, name)))
        && ![
            "with", "as", "on", "in", "at", "for", "mit", "als", "auf", "um", "fur", "avec", "en",
            "sur", "pour", "from", "by", "only",
        ]
        .contains(&read.tokens[from].folded.as_str());
    begins && (from + 1..to).any(is_state)
        || begins && to > from + 1 && is_state(from) && begins_reason(read, from)
}

pub(super) fn begins_reason(read: &Read<'_>, at: usize) -> bool {
    REASONS.contains(&read.tokens[at].folded.as_str())
}

//! A sentence with what each of its words means: hosts, times, phrases and words of the list, words of the catalogue, slips
//! of the keyboard, and what nobody knows. What follows from it is left to the stages after.

use super::{
    hosts::{self, Mention},
    index::Index,
    namesake,
    sentence::{self, Shape, Token},
    text,
    when::{self, When},
    words::{self, Kind, Language, Meaning},
};
use crate::inventory::Inventory;

/// What one token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    /// A word of the list, or the first of a phrase.
    Known(Meaning),
    /// Goes on with a phrase.
    Part,
    /// A word that the list does not know.
    Unknown,
    /// A path, an address, a key, or a quoted text.
    Data,
    /// Names hosts: the mention of this number.
    Host(usize),
    /// Says when.
    When,
}

/// A sentence that was read.
#[derive(Debug)]
pub(super) struct Read<'t> {
    pub(super) text: &'t str,
    pub(super) tokens: Vec<Token<'t>>,
    pub(super) language: Option<Language>,
    pub(super) senses: Vec<Sense>,
    /// The name of a meaning, or the word itself, without the ending of a plural.
    pub(super) canonical: Vec<String>,
    /// Which words were taken for a slip of the keyboard.
    pub(super) slipped: Vec<bool>,
    /// For a part of a phrase, where the phrase begins; for each other word, itself.
    pub(super) heads: Vec<usize>,
    pub(super) mentions: Vec<Mention>,
    pub(super) when: When,
}

impl Read<'_> {
    pub(super) fn is_mark(&self, at: usize, name: &str) -> bool {
        matches!(self.senses.get(at), Some(Sense::Known(meaning)) if meaning.kind == Kind::Mark && meaning.name == name)
    }

    pub(super) fn kind(&self, at: usize) -> Option<Kind> {
        match self.senses.get(at) {
            Some(Sense::Known(meaning)) => Some(meaning.kind),
            _ => None,
        }
    }

    /// A word, or the whole phrase that begins with it, as it would stand in the list.
    pub(super) fn said(&self, head: usize) -> String {
        let parts = (head..self.tokens.len())
            .filter(|at| self.heads[*at] == head && self.tokens[*at].is_word());
        let words: Vec<&str> = parts.map(|at| self.tokens[at].folded.as_str()).collect();
        words.join(" ")
    }

    /// Whether the token is grammar, a reason, or something that the planner itself understands.
    pub(super) fn is_small(&self, at: usize) -> bool {
        match self.senses.get(at) {
            Some(Sense::Known(meaning)) => {
                matches!(meaning.kind, Kind::Stop | Kind::Filler | Kind::Mark)
            }
            Some(Sense::Part | Sense::Host(_) | Sense::When) | None => true,
            Some(Sense::Unknown | Sense::Data) => false,
        }
    }
}

/// Reads a sentence; nothing where it has too many words.
pub(super) fn read<'t>(text: &'t str, index: &Index, inventory: &Inventory) -> Option<Read<'t>> {
    let tokens = sentence::tokens(text)?;
    let language = language(&tokens);
    let mut mentions = hosts::mentions(&tokens, inventory, language);
    namesake::give_way(&tokens, &mut mentions);
    let mut senses = vec![Sense::Unknown; tokens.len()];
    for (n, mention) in mentions.iter().enumerate() {
        senses[mention.from..mention.to].fill(Sense::Host(n));
    }
    let free: Vec<bool> = senses
        .iter()
        .map(|sense| *sense == Sense::Unknown)
        .collect();
    let when = when::when(&tokens, &free);
    for (sense, spent) in senses.iter_mut().zip(&when.spent) {
        if *spent {
            *sense = Sense::When;
        }
    }
    // "su web2": what stands before a name without a preposition may be a mistyped one.
    let before_name = |at: usize| {
        mentions
            .iter()
            .any(|mention| mention.from == at + 1 && mention.name.0 == at + 1)
    };
    let understood = understand(
        &tokens,
        &mut senses,
        language,
        |word| index.knows(word),
        before_name,
    );
    Some(Read {
        text,
        tokens,
        language,
        senses,
        canonical: understood.canonical,
        slipped: understood.slipped,
        heads: understood.heads,
        mentions,
        when,
    })
}

/// The language of the sentence.
pub(super) fn language(tokens: &[Token<'_>]) -> Option<Language> {
    words::language(
        tokens
            .iter()
            .filter(|token| token.is_word())
            .map(|token| token.folded.as_str()),
    )
}

/// What came of the words.
pub(super) struct Understood {
    pub(super) canonical: Vec<String>,
    pub(super) slipped: Vec<bool>,
    pub(super) heads: Vec<usize>,
}

/// Gives the tokens that have no sense yet one: phrases before words, and slips last. `is_known` are the words of the
/// catalogue.
pub(super) fn understand(
    tokens: &[Token<'_>],
    senses: &mut [Sense],
    language: Option<Language>,
    is_known: impl Fn(&str) -> bool,
    stands_before_name: impl Fn(usize) -> bool,
) -> Understood {
    for (sense, token) in senses.iter_mut().zip(tokens) {
        if *sense == Sense::Unknown && !token.is_word() {
            *sense = Sense::Data;
        }
    }
    let mut heads: Vec<usize> = (0..tokens.len()).collect();
    for at in 0..tokens.len() {
        if senses[at] == Sense::Unknown {
            phrase(at, tokens, senses, language, &mut heads);
        }
    }
    for (sense, token) in senses.iter_mut().zip(tokens) {
        if *sense == Sense::Unknown
            && let Some(meaning) = words::meaning(&token.folded, language)
        {
            *sense = Sense::Known(meaning);
        }
    }
    name_users(senses);
    name_machines(tokens, senses);
    create_files(tokens, senses);
    for at in 0..tokens.len() {
        if matches!(senses[at], Sense::Known(meaning) if meaning.name == "instead") {
            put_aside(at, tokens, senses, &mut heads);
        }
    }
    let slipped = slips(tokens, senses, is_known, stands_before_name);
    let named = senses.iter().zip(tokens).map(|(sense, token)| match sense {
        Sense::Known(meaning) => meaning.name.to_owned(),
        _ => text::singular(&token.folded),
    });
    Understood {
        canonical: named.collect(),
        slipped,
        heads,
    }
}

/// Where a path follows, a file is what is created.
fn create_files(tokens: &[Token<'_>], senses: &mut [Sense]) {
    for at in 0..tokens.len() {
        if tokens[at].written.eq_ignore_ascii_case("o\u{f9}") || tokens[at].written == "O\u{d9}" {
            senses[at] = Sense::Part;
        }
        let mut rest = (at + 1..tokens.len()).skip_while(
            |next| matches!(senses[*next], Sense::Known(meaning) if meaning.kind == Kind::Stop),
        );
        let creates = matches!(senses[at], Sense::Known(meaning) if meaning.name == "create")
            && rest
                .next()
                .is_some_and(|next| tokens[next].shape == Shape::Path);
        if let (true, Some(write)) = (creates, words::meaning("write", None)) {
            senses[at] = Sense::Known(write);
        }
    }
}

/// Gives slips of the keyboard the meaning that they are near to; which words were taken for one.
fn slips(
    tokens: &[Token<'_>],
    senses: &mut [Sense],
    is_known: impl Fn(&str) -> bool,
    stands_before_name: impl Fn(usize) -> bool,
) -> Vec<bool> {
    let mut slipped = vec![false; tokens.len()];
    for (at, token) in tokens.iter().enumerate() {
        if senses[at] != Sense::Unknown
            || is_known(&text::singular(&token.folded))
            || words::is_software(&token.folded)
        {
            continue;
        }
        let is_near_lead = || {
            let mut leads = words::all_of("short leads");
            leads.any(|lead| strsim::osa_distance(&token.folded, lead) == 1)
        };
        let before_host = token.folded.len() == 2 && stands_before_name(at) && is_near_lead();
        // "Dokcer": a program that is mistyped is still the name of one.
        let is_program = words::mended(&token.folded).is_some();
        let slip = match before_host {
            // "su web2": nothing else stands there.
            true => Some(Meaning {
                name: "small",
                kind: Kind::Stop,
                is_name: false,
            }),
            false => words::slip(&token.folded),
        };
        match slip {
            Some(meaning) if meaning.kind == Kind::Verb && has_verb(at, tokens, senses) => {}
            // "Note: ..." orders nothing.
            Some(meaning) if meaning.kind == Kind::Verb && token.after == Some(':') => {}
            Some(meaning) if meaning.is_name && is_program => {}
            Some(meaning) => {
                slipped[at] = true;
                senses[at] = Sense::Known(meaning);
            }
            None => {}
        }
    }
    slipped
}

/// A user may be called like an action: "for the user backup".
fn name_users(senses: &mut [Sense]) {
    for at in 1..senses.len() {
        let follows_user =
            matches!(senses[at - 1], Sense::Known(meaning) if meaning.name == "user");
        let is_action = matches!(senses[at], Sense::Known(meaning) if meaning.kind == Kind::Verb);
        if follows_user && is_action {
            senses[at] = Sense::Unknown;
        }
    }
}

/// "The backup server", "le serveur de sauvegarde": an action beside a word for a machine says which one.
fn name_machines(tokens: &[Token<'_>], senses: &mut [Sense]) {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.folded.as_str());
    for at in 1..senses.len() {
        let is_action = matches!(senses[at], Sense::Known(meaning) if meaning.kind == Kind::Verb);
        if !is_action || !tokens[at].is_word() {
            continue;
        }
        let is_before = !tokens[at].ends_part()
            && hosts::is_machine(word(at + 1))
            && (hosts::is_article(word(at - 1)) || hosts::is_preposition(word(at - 1)));
        let is_behind = at > 1
            && words::is_in("for a purpose", word(at - 1))
            && hosts::is_machine(word(at - 2))
            && !tokens[at - 1].ends_part()
            && !tokens[at - 2].ends_part();
        if is_before || is_behind {
            senses[at] = Sense::Unknown;
        }
    }
}

/// "Not just the service": what follows up to the end of the part is not what is wanted.
fn put_aside(at: usize, tokens: &[Token<'_>], senses: &mut [Sense], heads: &mut [usize]) {
    let to = (at..tokens.len())
        .find(|at| tokens[*at].ends_part())
        .map_or(tokens.len(), |at| at + 1);
    let is_action =
        |sense: &Sense| matches!(sense, Sense::Known(meaning) if meaning.kind == Kind::Verb);
    if senses[at + 1..to].iter().any(is_action) {
        return;
    }
    for (sense, head) in senses[at + 1..to].iter_mut().zip(&mut heads[at + 1..to]) {
        if !matches!(sense, Sense::Host(_) | Sense::When) {
            *sense = Sense::Part;
            *head = at;
        }
    }
}

/// Whether the part of the sentence around a word has an action already.
fn has_verb(at: usize, tokens: &[Token<'_>], senses: &[Sense]) -> bool {
    let is_border = |at: usize| matches!(senses[at], Sense::Known(meaning) if matches!(meaning.name, "and" | "then" | "but"));
    let from = (0..at)
        .rev()
        .find(|before| tokens[*before].ends_part() || is_border(*before))
        .map_or(0, |before| before + 1);
    let to = (at..tokens.len())
        .find(|at| tokens[*at].ends_part() || is_border(*at))
        .unwrap_or(tokens.len() - 1);
    senses[from..=to]
        .iter()
        .any(|sense| matches!(sense, Sense::Known(meaning) if meaning.kind == Kind::Verb))
}

/// Marks the longest phrase that begins here.
fn phrase(
    at: usize,
    tokens: &[Token<'_>],
    senses: &mut [Sense],
    language: Option<Language>,
    heads: &mut [usize],
) {
    for phrase in words::phrases(&tokens[at].folded) {
        let mut places = Vec::new();
        let mut from = at;
        let mut found = true;
        for (n, part) in phrase.parts.iter().enumerate() {
            let place = match n {
                0 => stands(part, at, tokens, senses).then_some(at),
                _ => after_gap(part, from, tokens, senses, language),
            };
            let Some(place) = place else {
                found = false;
                break;
            };
            places.push((place, part.len()));
            from = place + part.len();
        }
        if !found {
            continue;
        }
        for (place, len) in places {
            senses[place..place + len].fill(Sense::Part);
            heads[place..place + len].fill(at);
        }
        senses[at] = Sense::Known(phrase.meaning);
        return;
    }
}

/// Whether these words stand here, with no punctuation between them.
fn stands(part: &[String], at: usize, tokens: &[Token<'_>], senses: &[Sense]) -> bool {
    let Some(here) = tokens.get(at..at + part.len()) else {
        return false;
    };
    let words = here.iter().zip(&senses[at..]).zip(part);
    let mut alike =
        words.map(|((token, sense), word)| *sense == Sense::Unknown && token.folded == *word);
    alike.all(|alike| alike)
        && here[..part.len() - 1]
            .iter()
            .all(|token| !token.ends_part())
}

/// Whether a word that may belong to an action leads to a place instead: something comes after it in the same part.
fn is_preposition_here(at: usize, tokens: &[Token<'_>]) -> bool {
    let token = &tokens[at];
    let leads = words::is_in("ends of actions", &token.folded) && !token.ends_part();
    leads
        && tokens
            .get(at + 1)
            .is_some_and(|next| next.folded != token.folded)
}

/// Where these words stand behind a gap, which holds no end of a sentence and no action.
fn after_gap(
    part: &[String],
    from: usize,
    tokens: &[Token<'_>],
    senses: &[Sense],
    language: Option<Language>,
) -> Option<usize> {
    let longest = 12;
    for place in from..tokens.len().min(from + longest) {
        if place > 0 && tokens[place - 1].ends_sentence() {
            return None;
        }
        if stands(part, place, tokens, senses) {
            return match is_preposition_here(place, tokens) {
                // "Räum docker auf dem Dachboden auf": the last one belongs to the action.
                true => after_gap(part, place + 1, tokens, senses, language).or(Some(place)),
                false => Some(place),
            };
        }
        // "aus der Sicherung" is a thing.
        let is_thing = place > 0
            && words::meaning(&tokens[place - 1].folded, language)
                .is_some_and(|before| before.kind == Kind::Stop);
        let is_action = !is_thing
            && senses[place] == Sense::Unknown
            && tokens[place].shape == Shape::Word
            && words::meaning(&tokens[place].folded, language).is_some_and(|meaning| {
                meaning.kind == Kind::Verb || matches!(meaning.name, "before" | "after")
            });
        if is_action {
            return None;
        }
    }
    None
}

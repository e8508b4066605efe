//! What the planner knows of language: words that say nothing, words that mean the same, words that
//! forbid. English, German and French, for the entries that are shipped; an entry in another language is
//! reached through its examples. Everything is folded already (lower case, without accents).

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

/// How much a word tells of what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Grammar and politeness.
    Stop,
    /// Says that something is wanted, not what.
    Generic,
    /// Everything else.
    Content,
}

const STOP: &str = "a an the is are am be there any some of on in at to for from with and or as by onto into it its \
    this that these those me my you your we our us i please kindly just now also still can could would will \
    shall may should do does did has have had was were been much many how what which who if whether then so \
    der die das den dem des ein eine einen einem einer ist sind es im am an auf in zu zum zur von vom fur mit \
    und oder bitte mir mich dir du sie wir uns ich mal doch noch jetzt gerade wie viel viele was welche welcher \
    welches kannst konntest wurdest gibt so sich zwar gern ob \
    le la les l un une des du de d sur dans a au aux en pour avec et ou est sont ce cette ces il elle je tu vous \
    nous moi me s t y que quel quelle quels quelles combien comment reste sil te plait peux pourrais merci \
    thanks danke ok okay right chiffon want need like wish d'like i'd possible \
    mochte will brauche hatte voudrais veux";

const GENERIC: &str = "hey hi hello hallo bonjour show give tell check see get list display report look view print find out run execute \
    usage use used status state current currently info information details overview make sure ensure \
    zeig zeige nenn nenne sag prufe schau liste anzeigen status zustand aktuell aktuelle \
    montre affiche dis verifie etat actuel actuelle doing everything alles tout machine host system rechner";

/// Each line is one meaning; the first word is its canonical form.
const SYNONYMS: &str = "\
disk disks drive drives storage space platte platten festplatte festplatten laufwerk laufwerke speicherplatz \
    plattenplatz disque disques espace stockage filesystem filesystems partition partitions volume volumes
memory ram arbeitsspeicher hauptspeicher speicher memoire
load uptime auslastung systemlast last charge cpu processor prozessor processeur
service services daemon daemons dienst dienste dienstes unit
update updates aktualisierung aktualisierungen upgrades mises patches
install installiere installier installieren installiert installe installer installez installed installation
restart restarts restarted restarting bounce redemarre redemarrer redemarrez relance relancer
write writes schreibe schreib schreiben ecris ecrire ecrivez
package packages paket pakete paquet paquets
file files datei dateien fichier fichiers
content contents inhalt contenu text texte
full voll plein pleine pleins fill filled
free frei freie freier libre libres available verfugbar disponible
reachable erreichbar joignable alive online responsive
answer answers respond responds responding antwortet antworte repond reponds
ping pinge anpingen
fail failed failing failure failures fehlgeschlagen ausgefallen ausgefallene echoue
pending waiting anstehend ausstehend outstanding
create creates erstelle erstellen anlegen cree creer
add hinzufugen ajoute ajouter
connection verbindung connexion
put lege setze mets
save speichere sichere enregistre sauvegarde
remove delete uninstall purge erase entferne losche deinstalliere supprime desinstalle enleve
stop halt stoppe beende arrete
reboot
deploy
upgrade";

/// Verbs that ask for a change, by canonical form.
const CHANGES: &str = "install restart write create put save remove stop reboot deploy upgrade update add disable \
    enable kill format wipe move rename copy shutdown schalte starte start lege";

const NEGATIONS: &str = "not never no none without neither nor dont nicht kein keine keinen keiner nie niemals ohne \
    ne pas jamais aucun aucune sans n avoid stop_not";

/// A first word that asks about something instead of asking for it.
const QUESTIONS: &str = "how what which who whom whose when where why is are am was were do does did has have had should \
    shall may might must wie was welche welcher wer wann wo warum wieso weshalb ist sind war hat habe haben hast wurde \
    soll sollte darf muss comment pourquoi quand qui que quoi ou quel quelle est a as dois explain describe erklare \
    explique suppose imagine";

/// Words that tell of the past, put a condition, or a time: nothing that is done at once and unconditionally.
const ELSEWHEN: &str = "was were did had been already yesterday if unless when whenever once after before until later tomorrow \
    tonight every each daily weekly hourly monthly midnight schedule wurde wurden hatte habe haben hat hast gestern \
    wenn falls sobald nachdem bevor spater morgen taglich wochentlich stundlich jeden jede hier_soir si quand apres \
    avant demain hier_ chaque ete avais tard except ausser sauf";

/// A first word that begins a statement.
const STATEMENTS: &str = "i we he she it they someone somebody ich wir er sie es jemand je nous il elle ils the log j'ai";

/// What turns a statement about oneself into a wish.
const WISHES: &str = "want need like wish wunsche mochte mochten brauche brauchen will wollen hatte voudrais voudrions veux voulons";

const POLITE: &str = "can could would will kannst konntest wurdest konnen konnten wurden peux pourrais pouvez pourriez \
    peux-tu pourrais-tu pouvez-vous pourriez-vous";
const POLITE_TO: &str = "you du sie tu vous";

/// Words that stand for something said before; nothing can be called so.
const PRONOUNS: &str = "it that this them these those something anything everything all es das dies alles etwas ihn cela ca tout one \
    package service file paket dienst datei paquet fichier content inhalt contenu named called namens";

/// Second halves of verbs ("starte ... neu"); nothing is called so.
const PARTICLES: &str = "neu";

/// Words between a host and what happens to it.
const HOST_PREPOSITIONS: &str = "on auf sur at to onto of von from vom";
/// Articles that may stand between.
const ARTICLES: &str =
    "the der die das dem den le la les my host machine server rechner mein meinem";
/// The machine itself, by canonical form; nothing on it is called so.
const MACHINES: &str = "machine server computer host box boxe system pc laptop notebook desktop workstation node vm device rechner rechnern \
    maschine maschinen kiste gerat gerate hardware ordinateur ordi serveur hote systeme poste";
/// Words that go on with another host.
const JOINERS: &str = "and und et or oder ou plus sowie";

struct Tables {
    classes: HashMap<&'static str, Class>,
    canon: HashMap<&'static str, &'static str>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut classes = HashMap::new();
    classes.extend(
        GENERIC
            .split_whitespace()
            .map(|word| (word, Class::Generic)),
    );
    classes.extend(STOP.split_whitespace().map(|word| (word, Class::Stop)));
    let mut canon = HashMap::new();
    for line in SYNONYMS.lines() {
        let mut words = line.split_whitespace();
        if let Some(first) = words.next() {
            canon.extend(words.map(|word| (word, first)));
        }
    }
    Tables { classes, canon }
});

macro_rules! sets {
    ($($(#[$doc:meta])* $name:ident = $list:ident;)+) => {$(
        $(#[$doc])*
        pub(super) fn $name(word: &str) -> bool {
            static SET: LazyLock<std::collections::HashSet<&'static str>> =
                LazyLock::new(|| $list.split_whitespace().collect());
            SET.contains(word)
        }
    )+};
}

sets! {
    /// By canonical form.
    is_change = CHANGES;
    is_question = QUESTIONS;
    is_elsewhen = ELSEWHEN;
    begins_statement = STATEMENTS;
    is_wish = WISHES;
    is_polite = POLITE;
    is_polite_to = POLITE_TO;
    is_pronoun = PRONOUNS;
    is_particle = PARTICLES;
    is_host_preposition = HOST_PREPOSITIONS;
    is_article = ARTICLES;
    is_machine = MACHINES;
    is_joiner = JOINERS;
    is_listed_negation = NEGATIONS;
}

/// Whether a folded word turns the sentence into its opposite.
pub(super) fn is_negation(folded: &str) -> bool {
    folded.ends_with("n't") || folded.starts_with("n'") || is_listed_negation(folded)
}

/// How much a canonical word tells.
pub(super) fn class(canonical: &str) -> Class {
    TABLES
        .classes
        .get(canonical)
        .copied()
        .unwrap_or(Class::Content)
}

/// The form under which words of the same meaning meet.
pub(super) fn canonical(folded: &str) -> Cow<'_, str> {
    let word = without_elision(folded);
    if let Some(canon) = TABLES.canon.get(word) {
        return Cow::Borrowed(canon);
    }
    if TABLES.classes.contains_key(word) {
        return Cow::Borrowed(word);
    }
    let stem = stem(word);
    match TABLES.canon.get(stem.as_ref()) {
        Some(canon) => Cow::Borrowed(canon),
        None => stem,
    }
}

/// `l'espace`, `d'espace`, `qu'il`.
fn without_elision(folded: &str) -> &str {
    match folded.split_once('\'') {
        Some(("l" | "d" | "j" | "n" | "s" | "c" | "m" | "t" | "qu", rest)) if !rest.is_empty() => {
            rest
        }
        _ => folded,
    }
}

/// English plurals and possessives; more would join words that mean different things.
fn stem(word: &str) -> Cow<'_, str> {
    let word = word.strip_suffix("'s").unwrap_or(word);
    let is_plain = word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    if !is_plain || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return Cow::Borrowed(word);
    }
    match word.strip_suffix("ies") {
        Some(stem) => Cow::Owned(format!("{stem}y")),
        None => Cow::Borrowed(word.strip_suffix('s').unwrap_or(word)),
    }
}

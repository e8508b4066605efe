//! The arguments of `chiffon catalogue`.

use clap::{Args, Subcommand, ValueHint};

use super::{Belongs, Consent, Patience};

/// What may run, and starting it without a sentence
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon catalogue list
  chiffon catalogue show package_install
  chiffon catalogue run package_install name=htop --on nas --yes
  chiffon catalogue add ~/src/homelab
  chiffon catalogue check")]
pub enum Catalogue {
    /// List all entries
    List,
    /// Show one entry with its parameters
    Show {
        /// Its id
        entry: String,
    },
    Check(CheckEntries),
    /// Start an entry with parameters: no sentence needed
    Run(RunEntry),
    Add(AddRepository),
    Hosts(RepositoryHosts),
    Accept(AcceptEntries),
    Update(UpdateRepository),
    /// Take a repository out of the catalogue
    Remove {
        /// Its name: what the ids of its entries begin with
        name: String,
    },
    New(NewEntry),
}

/// Add an Ansible repository as it is: a pinned copy of its playbooks, nothing of it executed
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon catalogue add ~/src/homelab
  chiffon catalogue add https://github.com/somebody/homelab --ref v2
  chiffon catalogue add git@git.example.org:me/infra.git --name infra --folder ansible",
    after_help = "Its entries are tier 2 and show no preview until `chiffon catalogue accept`. Its inventory is listed and not
taken over."
)]
pub struct AddRepository {
    /// A folder, or what git fetches: https://, ssh://, file://, user@host:path
    #[arg(value_name = "REPO|FOLDER", value_hint = ValueHint::AnyPath)]
    pub from: String,
    /// What its entries' ids begin with [default: the last part of the address]
    #[arg(long)]
    pub name: Option<String>,
    /// Branch, tag or commit [default: the repository's own]
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// The folder of it that holds the Ansible files [default: found]
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<String>,
    /// Look only: list what would be added
    #[arg(long)]
    pub dry_run: bool,
}

/// Name every file that did not load, with line and reason; or test entries that are named
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon catalogue check
  chiffon catalogue check dim_lamp
  chiffon catalogue check dim_lamp name=hall
  chiffon catalogue check ~/src/homelab
  chiffon catalogue check ~/src/homelab --run-code",
    after_help = "An entry that is named is tested by itself, in a data folder made for the test, on this machine: it loads, ansible-lint
passes it, its parameters are declared, its examples are understood as it, and a check run of it comes to its end.
Nothing is changed, and nothing is run that asking for the entry would not run without a yes: of a folder, and of a
repository that nobody has accepted, there is no check run, and the linter runs in a sandbox. What could not be tested is
said, with the reason."
)]
pub struct CheckEntries {
    /// Entries, repositories, or folders with Ansible files; and values of parameters for the check run: NAME=TEXT,
    /// NAME:=JSON
    #[arg(value_name = "NAME|FOLDER|NAME=VALUE", value_hint = ValueHint::AnyPath)]
    pub names: Vec<String>,
    /// Let what nobody has accepted run as if it was: linter and check run load its code, as you; what only reads runs for
    /// real
    #[arg(long, requires = "names")]
    pub run_code: bool,
}

/// Show the hosts that a repository's inventory names, or take them over
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon catalogue hosts homelab
  chiffon catalogue hosts homelab --source inventories/prod
  chiffon catalogue hosts homelab --take",
    after_help = "The inventory is read by the real ansible-inventory. Programs and plugins are code: they are named, and run only with
--run-code. Hosts that Chiffon knows already stay as they are."
)]
pub struct RepositoryHosts {
    /// The repository: what the ids of its entries begin with
    pub name: String,
    /// Which of its inventories [default: the one that ansible.cfg names, or the only one]
    #[arg(long, value_name = "FILE|FOLDER")]
    pub source: Option<String>,
    /// Take them over into Chiffon's inventory, in place of what was taken of this repository before
    #[arg(long)]
    pub take: bool,
    /// Let programs and plugins of the inventory run, as you and with your environment
    #[arg(long)]
    pub run_code: bool,
    /// The password of what is vaulted; values are kept readable in the inventory then, in a file that only you can read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub vault_password_file: Option<std::path::PathBuf>,
    /// Do it without being asked
    #[arg(long)]
    pub yes: bool,
}

/// Let entries count as what they say of themselves, as they are now
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon catalogue accept homelab_update
  chiffon catalogue accept homelab_update --tier 1
  chiffon catalogue accept homelab --yes")]
pub struct AcceptEntries {
    /// Entries, or repositories with all their entries
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// The tier of those whose metadata names none
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub tier: Option<u8>,
    /// Accept without being asked
    #[arg(long)]
    pub yes: bool,
}

/// Fetch a repository again, and show what changes before it takes effect
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon catalogue update homelab
  chiffon catalogue update homelab --yes
  chiffon catalogue update homelab --ref v3")]
pub struct UpdateRepository {
    /// Its name: what the ids of its entries begin with
    pub name: String,
    /// Another branch, tag or commit than before
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Take the changes without being asked
    #[arg(long)]
    pub yes: bool,
}

/// Write the files of a new entry, to be filled in
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon catalogue new dim_lamp
  chiffon catalogue check dim_lamp")]
pub struct NewEntry {
    /// Its id: a small letter, then small letters, digits and _
    pub name: String,
}

/// Start an entry with parameters: no sentence needed
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon catalogue run ping --on nas,web
  chiffon catalogue run package_install name=htop --on nas --yes
  chiffon catalogue run write_file --on nas --parameters motd.yml --dry-run
  chiffon catalogue run backup 'paths:=[\"/etc\",\"/srv\"]' --on nas --timeout 3600",
    after_help = "Secret values do not belong on a command line, where every program on the machine can read
them: put them into a file that only you can read, and name it by --parameters."
)]
pub struct RunEntry {
    /// Its id; `chiffon catalogue show` tells the parameters
    pub entry: String,
    /// A parameter: NAME=TEXT, or NAME:=JSON for lists, mappings and exact types
    #[arg(value_name = "NAME=VALUE")]
    pub parameter: Vec<String>,
    /// Hosts and groups, with commas between or given several times; not needed where there is one host only
    #[arg(
        long = "on",
        id = "on",
        value_name = "HOST[,HOST]",
        value_delimiter = ','
    )]
    pub on: Vec<String>,
    /// A file with parameters, JSON or YAML; - reads standard input. What is given as NAME=VALUE wins over it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub parameters: Option<String>,
    #[command(flatten)]
    pub consent: Consent,
    /// Plan and preview only: show the plan, then close the request (what only reads, tier 0, simply runs)
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub belongs: Belongs,
    #[command(flatten)]
    pub patience: Patience,
}

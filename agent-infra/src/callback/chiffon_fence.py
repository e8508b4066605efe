"""Keeps Ansible to what was approved: code comes from the run's bundle, and from nowhere else (DESIGN section 1).

What a playbook leads to can depend on variables, so no scan sees all of it. Here each file that would become plays, tasks,
variables, a template or a script is held against the bundle when it is loaded. An inventory plugin is what Ansible loads
first, before any playbook; this one reads no inventory. The callback starts no play where it is not in force. Works on
ansible-core 2.18 and later.
"""

from __future__ import annotations

import functools
import os

from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.role.definition import RoleDefinition
from ansible.plugins.action import ActionBase
from ansible.plugins.action.include_vars import ActionModule as IncludeVars
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
    name: chiffon_fence
    short_description: code from the bundle only
    description: Reads no inventory; refuses to load code from outside of the run's bundle.
    options: {}
"""

FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# The approved files, and two that the agent wrote for this run.
APPROVED = [os.path.join(FOLDER, name) for name in ("bundle", "defaults", "vars.json")]

SCRIPTS = ("script", "ansible.builtin.script", "ansible.legacy.script")


def keep(path):
    """A path that may be loaded as code."""
    real = os.path.realpath(to_text(path))
    if any(real == root or real.startswith(root + os.sep) for root in APPROVED):
        return path
    raise AnsibleError(
        f"{real} lies outside of what was approved, so nothing is taken from it: "
        "keep the file in the folder of the catalogue, and name it from there"
    )


def fenced(owner, name, around):
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def outer(self, *args, **kwargs):
        return around(functools.partial(inner, self), self, *args, **kwargs)

    setattr(owner, name, outer)


def load_from_file(inner, loader, file_name, *args, **kwargs):
    keep(loader.path_dwim(file_name))
    return inner(file_name, *args, **kwargs)


def load_files(inner, _action, filename, *args, **kwargs):
    keep(filename)
    return inner(filename, *args, **kwargs)


def role_path(inner, _role, *args, **kwargs):
    found = inner(*args, **kwargs)
    keep(found[1])
    return found


def needle(inner, action, dirname, *args, **kwargs):
    found = inner(dirname, *args, **kwargs)
    is_code = dirname == "templates" or action._task.action in SCRIPTS
    return keep(found) if is_code else found


def searched(inner, _lookup, variables, subdir, *args, **kwargs):
    found = inner(variables, subdir, *args, **kwargs)
    return keep(found) if found and subdir == "templates" else found


# Once for all, however often the plugin is loaded; the processes of the tasks are made from this one.
if not getattr(DataLoader, "chiffon_fence", False):
    fenced(DataLoader, "load_from_file", load_from_file)
    fenced(IncludeVars, "_load_files", load_files)
    fenced(RoleDefinition, "_load_role_path", role_path)
    fenced(ActionBase, "_find_needle", needle)
    fenced(LookupBase, "find_file_in_search_path", searched)
    DataLoader.chiffon_fence = True


class InventoryModule(BaseInventoryPlugin):
    NAME = "chiffon_fence"

    def verify_file(self, path):
        return False

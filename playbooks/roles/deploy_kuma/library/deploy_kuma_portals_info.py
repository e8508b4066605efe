#!/usr/bin/python
# -*- coding: utf-8 -*-
"""Finds what the running containers of a host publish: by labels of reverse proxies, else by their ports. Reads only."""

DOCUMENTATION = r"""
module: deploy_kuma_portals_info
short_description: Find what the running containers publish
description:
  - Reads C(docker inspect) of all running containers.
  - A container with a name at a reverse proxy (Traefik, Caddy, nginx-proxy) is known by it, another one by its ports.
options:
  except_project: {description: A project of compose that is left out., type: str}
attributes:
  check_mode:
    support: full
    description: It looks in check mode as well.
  diff_mode:
    support: none
author: [Chiffon]
"""

EXAMPLES = r"""
- deploy_kuma_portals_info: {except_project: uptime-kuma}
"""

RETURN = r"""
portals: {description: Name and address of each., type: list, elements: dict, returned: always}
"""

import json
import re

from ansible.module_utils.basic import AnsibleModule

# Ports within a container that speak TLS, and those behind which there is no page.
TLS = (443, 8443, 9443)
NO_PAGE = (
    21, 22, 25, 53, 110, 139, 143, 389, 445, 465, 587, 636, 993, 995, 1433, 1883, 3306, 3478, 5432, 5672, 6379, 8883, 11211, 27017,
)
HOST = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")
MOST = 200


def traefik(labels):
    if labels.get("traefik.enable", "true").lower() == "false":
        return
    for key, rule in labels.items():
        router = re.match(r"^traefik\.http\.routers\.([^.]+)\.rule$", key)
        if not router:
            continue
        about = "traefik.http.routers.%s." % router.group(1)
        secure = any(label.startswith(about + "tls") and value.lower() != "false" for label, value in labels.items())
        secure = secure or re.search(r"secure|https|443", labels.get(about + "entrypoints", ""))
        for hosts in re.findall(r"Host\(([^)]*)\)", rule):
            for host in re.findall(r"[`\"']([^`\"']+)[`\"']", hosts):
                yield ("https://" if secure else "http://") + host


def caddy(labels):
    for key, sites in labels.items():
        if re.match(r"^caddy(?:_[0-9]+)?$", key):
            for site in re.split(r"[\s,]+", sites):
                yield site if "://" in site else "https://" + site


def nginx(environment):
    secure = environment.get("LETSENCRYPT_HOST", "").split(",")
    for host in environment.get("VIRTUAL_HOST", "").split(","):
        yield ("https://" if host in secure else "http://") + host.strip()


def ports(container):
    bindings = (container.get("HostConfig") or {}).get("PortBindings") or {}
    bindings = (container.get("NetworkSettings") or {}).get("Ports") or bindings
    for inner, outer in sorted(bindings.items()):
        number, _, kind = inner.partition("/")
        if kind not in ("", "tcp"):
            continue
        for binding in outer or []:
            port = binding.get("HostPort")
            address = binding.get("HostIp") or "localhost"
            if not port or ":" in address:
                continue
            address = "localhost" if address in ("0.0.0.0", "127.0.0.1") else address
            inside = int(number)
            scheme = "tcp" if inside in NO_PAGE else "https" if inside in TLS else "http"
            yield "%s://%s:%s" % (scheme, address, port)


def portals(containers, left_out):
    found, seen = [], set()
    for container in containers:
        config = container.get("Config") or {}
        labels = config.get("Labels") or {}
        if left_out and labels.get("com.docker.compose.project") == left_out:
            continue
        environment = dict(one.split("=", 1) for one in config.get("Env") or [] if "=" in one)
        named = list(traefik(labels)) + list(caddy(labels)) + list(nginx(environment))
        named = [url for url in named if HOST.match(re.split("[/:]", url.split("://", 1)[1])[0])]
        for url in named or ports(container):
            if url not in seen:
                seen.add(url)
                found.append({"name": "%s (%s)" % ((container.get("Name") or "/?")[1:], url.split("://", 1)[1]), "url": url})
    return found[:MOST]


def main():
    module = AnsibleModule(argument_spec={"except_project": {}}, supports_check_mode=True)
    docker = module.get_bin_path("docker", required=True)
    code, ids, said = module.run_command([docker, "ps", "--quiet", "--no-trunc"])
    if code != 0:
        module.fail_json(msg="docker ps: " + said.strip())
    containers = []
    if ids.split():
        code, text, said = module.run_command([docker, "inspect", "--"] + ids.split())
        # One that ended in between is missing in the answer, and no reason to give up.
        try:
            containers = json.loads(text)
        except ValueError:
            module.fail_json(msg="docker inspect: " + said.strip())
    module.exit_json(changed=False, portals=portals(containers, module.params["except_project"]))


if __name__ == "__main__":
    main()

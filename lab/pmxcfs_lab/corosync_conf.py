"""The text of corosync.conf for a plan."""

from pmxcfs_lab.plan import NodePlan, Plan

TEMPLATE = """\
totem {{
  version: 2
  cluster_name: {cluster}
  config_version: {version}
  transport: knet
  ip_version: ipv4
  link_mode: passive
  token: {token_ms}
  secauth: {secauth}
  crypto_cipher: {cipher}
  crypto_hash: {hash}
{links}
}}

nodelist {{
{nodes}
}}

quorum {{
  provider: corosync_votequorum{device}
}}

system {{
  move_to_root_cgroup: no
}}

logging {{
  to_syslog: no
  to_stderr: no
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
  timestamp: hires
  debug: off
}}
"""

NODE_TEMPLATE = """\
  node {{
    name: {node.name}
    nodeid: {node.node_id}
    quorum_votes: 1
{addresses}
  }}"""

DEVICE_TEMPLATE = """
  device {{
    model: net
    votes: 1
    net {{
      host: {address}
      tls: off
      algorithm: ffsplit
    }}
  }}"""
"""No certificates: the network is the lab's own."""

LINK_TEMPLATE = """\
  interface {{
    linknumber: {link}
  }}"""


def corosync_conf(plan: Plan, config_version: int = 1) -> str:
    """Return the configuration that all nodes of the plan share."""
    return TEMPLATE.format(
        cluster=plan.lab,
        version=config_version,
        token_ms=plan.options.token_ms,
        secauth="on" if plan.options.crypto else "off",
        cipher="aes256" if plan.options.crypto else "none",
        hash="sha256" if plan.options.crypto else "none",
        device="" if plan.witness is None else DEVICE_TEMPLATE.format(address=plan.witness.address),
        links="\n".join(LINK_TEMPLATE.format(link=link) for link in range(plan.options.links)),
        nodes="\n".join(_node_section(node, plan.options.links) for node in plan.nodes),
    )


def hosts(plan: Plan) -> str:
    """Return the text of /etc/hosts, the same on all nodes.

    A node's own name resolves to its address on the lab's network, never to 127.x: pmxcfs
    refuses to start otherwise.
    """
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{plan.node(name).address} {name}" for name in plan.hosts]
    return "\n".join(lines) + "\n"


def _node_section(node: NodePlan, links: int) -> str:
    addresses = (f"    ring{link}_addr: {node.address_on(link)}" for link in range(links))
    return NODE_TEMPLATE.format(node=node, addresses="\n".join(addresses))

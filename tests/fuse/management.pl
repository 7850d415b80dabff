# Calls every function of PVE::Cluster that talks to the daemon, and prints what came of each as JSON.
#
#     perl -I LIB management.pl NODE
#
# LIB has upstream's PVE::IPCC (built), PVE::Cluster and PVE::Cluster::IPCConst. What else
# PVE::Cluster wants of the Perl libraries of a Proxmox node, it gets here as far as it is used.
use strict;
use warnings;

my $node;

BEGIN {
    $node = $ARGV[0];
    for my $module (qw(Certificate INotify JSONSchema Network SafeSyslog Tools)) {
        $INC{"PVE/$module.pm"} = __FILE__;
    }
    no strict 'refs';
    *{"PVE::INotify::nodename"} = sub { return $node };
    *{"PVE::SafeSyslog::tag"} = sub { return 'pvetest' };
    *{"PVE::SafeSyslog::import"} = sub { *{ caller() . '::syslog' } = sub { } };
    *{"PVE::Tools::import"} = sub { *{ caller() . '::run_command' } = sub { die } };
}

use JSON;
use PVE::Cluster;

my @results;

sub note {
    my ($name, $call) = @_;
    my $result = eval { $call->() };
    my $error = $@;
    chomp $error;
    push @results, [$name, $result, $error];
}

local $SIG{__WARN__} = sub { push @results, ['warning', undef, $_[0]] };

note('update', sub { PVE::Cluster::cfs_update(1); return 1 });
note('members', sub { PVE::Cluster::get_clinfo()->{nodename} });
note('nodes', sub { PVE::Cluster::get_nodelist() });
note('guests', sub { PVE::Cluster::get_vmlist()->{ids} });
note('publish', sub { PVE::Cluster::broadcast_node_kv('perl', '{"a":1}'); return 1 });
note('published', sub { PVE::Cluster::get_node_kv('perl') });
note('unpublish', sub { PVE::Cluster::broadcast_node_kv('perl'); return 1 });
note('unpublished', sub { PVE::Cluster::get_node_kv('perl') });
note('publish tasks', sub { PVE::Cluster::broadcast_tasklist([{ upid => 'x' }]); return 1 });
note('tasks', sub { PVE::Cluster::get_tasklist() });
my $sample = join(':', 1000, 'vm', 'running', 0, time(), 2, 0.1, 512, 256, 1000, 10, 1, 2, 3, 'U');
note('publish metrics', sub { PVE::Cluster::broadcast_rrd('pve2.3-vm/100', $sample); return 1 });
note('metrics', sub { PVE::Cluster::rrd_dump() });
note('log', sub { PVE::Cluster::log_msg('info', 'root@pam', "say \"hi\" \x{e4}"); return 1 });
note('logged', sub { decode_json(PVE::Cluster::get_cluster_log('root@pam', 1))->{data} });
note('file', sub { PVE::Cluster::get_config('user.cfg') });
note('empty file', sub { PVE::Cluster::get_config('empty.cfg') });
note('missing file', sub { PVE::Cluster::get_config('missing.cfg') });
note('private file', sub { PVE::Cluster::get_config('nodes//x/priv/key') });
note('property', sub { PVE::Cluster::get_guest_config_property('name', 100) });
note('properties', sub { PVE::Cluster::get_guest_config_properties(['name', 'memory']) });
note('token', sub { PVE::Cluster::verify_token('root@pam!t', 'secret') });
note('wrong token', sub { PVE::Cluster::verify_token('root@pam!t', 'other') });

print JSON->new->ascii->canonical->allow_nonref->encode(\@results), "\n";

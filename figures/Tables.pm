# SPDX-License-Identifier: GPL-2.0
# Reports in, tables out. A file of tables is what gnuplot reads as data blocks: a title
# behind '# ', the names of the columns, rows, all with tabs; two blank lines between tables.
package Tables;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;

our @EXPORT = qw(slurp report lane calls page_tables table read_tables published);

sub slurp {
	my ($path) = @_;
	open my $file, '<:encoding(UTF-8)', $path or die "$path: $!\n";
	local $/;
	return scalar <$file>;
}

# A report of lab/model -j, which comes after what the program has said.
sub report {
	my ($path) = @_;
	my ($json) = slurp($path) =~ /^(\{\n.*)/ms or die "$path has no report of the model\n";
	return JSON::PP->new->decode($json);
}

# The counters of a lane, with the share of walks in its cycles, and that of remote memory in
# what its walks read from memory.
sub lane {
	my ($report, $name) = @_;
	for my $i (0 .. $#{$report->{lanes}}) {
		next unless $report->{lanes}[$i]{name} eq $name;
		my %lane = %{$report->{total}{lanes}[$i]};
		$lane{walk_share} = $lane{cycles} ? $lane{walk_cycles} / $lane{cycles} : 0;
		my $reads = $lane{walk_local} + $lane{walk_remote};
		$lane{remote_share} = $reads ? $lane{walk_remote} / $reads : 0;
		return \%lane;
	}
	die "no lane '$name' in the report\n";
}

# From what figures/vmops/guest printed beside the model, into files of these paths:
# {CALL}{PAGES}{POLICY}, what one call took. A policy is 'off', 'none', or the number of nodes that
# page tables are replicated on.
sub calls {
	my %calls;
	for my $path (@_) {
		my %region = map { $_->{region} => $_ } @{report($path)->{regions}};
		my $policy;
		for (split /\R/, slurp($path)) {
			$policy = nodes_of($1) if /^policy +(?:replicate=)?(\S+)$/;
			next unless /^region +(\d+) (\w+) (\d+) (\d+)$/;
			my ($call, $pages, $times) = ($2, $3, $4);
			my $region = $region{$1} or die "$path: the model has no region $1\n";
			$calls{$call}{$pages}{$policy} = {
				instructions => $region->{events}{instructions} / $times,
				cycles => $region->{lanes}[0]{cycles} / $times,
			};
		}
	}
	return \%calls;
}

# From what figures/memory/guest printed: the sizes in their order, and {SIZE}{NODES}, bytes of
# page tables with their replicas.
sub page_tables {
	my ($path) = @_;
	my ($size, @sizes, %bytes);
	for (split /\R/, slurp($path)) {
		$size = $1 if /^size (\S+)$/;
		next unless /^\{/;
		my $process = JSON::PP->new->decode($_)->{processes}[0];
		my $nodes = $process->{nodes} // '';
		die "$path: the tables of $size were not all replicated on nodes $nodes\n" if $process->{fallbacks};
		push @sizes, $size unless $bytes{$size};
		$bytes{$size}{$nodes eq '' ? 1 : nodes_of($nodes)} = 4096 * $process->{tables} + $process->{replicas};
	}
	return (\@sizes, \%bytes);
}

# How many nodes a list like 0-3 has; other words are left as they are.
sub nodes_of {
	my ($list) = @_;
	return $list =~ /^0-(\d+)$/ ? $1 + 1 : $list;
}

my $tables = 0;

# table(TITLE, [COLUMN...], [ROW...]...): print a table.
sub table {
	my ($title, $columns, @rows) = @_;
	print "\n\n" if $tables++;
	print "# $title\n";
	print join("\t", @$_), "\n" for $columns, @rows;
}

# All tables of a file, as [TITLE, [COLUMN...], [ROW...]...].
sub read_tables {
	my ($path) = @_;
	my @tables;
	for my $block (split /\n\n\n/, slurp($path)) {
		my ($title, @lines) = split /\n/, $block;
		$title =~ s/^# //;
		push @tables, [$title, map { [split /\t/, $_, -1] } @lines];
	}
	return @tables;
}

# Lines of a CSV file, as hashes by the names in its first line.
sub published {
	my ($path) = @_;
	my ($names, @lines) = grep { !/^#/ } split /\n/, slurp($path);
	my @names = split /,/, $names;
	return map { my %line; @line{@names} = split /,/; \%line } @lines;
}

1;

# SPDX-License-Identifier: GPL-2.0
# Read a page that fortress/report has written, so that the next one keeps what it says.
package Page;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(read_page);

# What an earlier page says: its kernels and what they are made of, its emulator, and its
# shards by their titles. Of no page there is nothing.
sub read_page {
	my ($head, @sections) = split /^## /m, join "\n", @_;
	my %shards = map { my ($title, $body) = split /\n/, $_, 2; ($title => read_section($body)) } @sections;
	my %kernels = map { /`([\w-]+) ([0-9a-f]{12})`/g } ($head // '') =~ /^Kernels: (.*)$/m;
	my ($made_of) = ($head // '') =~ /^Made of `([0-9a-f]{12})`/m;
	my ($emulator) = ($head // '') =~ / Machines: (.*)\.$/m;
	return (kernels => \%kernels, made_of => $made_of, emulator => $emulator, shards => \%shards);
}

# A shard: its rows that have run, what of them did not pass, and the blocks of its own tables.
sub read_section {
	my ($text) = @_;
	my ($own, @lists) = split /^### (?=Failed$|Skipped$)/m, $text;
	my (undef, @parts) = split /^<!-- of (.*) -->\n/m, $own;
	my @blocks;
	while (my ($of, $block) = splice @parts, 0, 2) {
		push @blocks, {rows => [split ' ', $of], text => $block =~ s/^Of rows run .*\n\n//r =~ s/\n+\z/\n/r};
	}
	my ($table) = $own =~ /^\| row \| machine \|.*\n.*\n((?:\|.*\n)*)/m;
	my %rows = map { $_->{name} => $_ } grep { $_->{on} ne 'not run' } map { read_row($_) } split /\n/, $table // '';
	my %verdicts;
	push @{$verdicts{$_->[0]}}, $_->[1] for map { read_verdicts($_) } @lists;
	return {rows => \%rows, verdicts => \%verdicts, blocks => \@blocks};
}

sub read_row {
	my ($line) = @_;
	my %row = (missing => 0);
	(@row{qw(name machine flavour passed failed skipped)}, my $took, $row{on}) = cells($line);
	$row{earlier} = $row{on} =~ s/ \*$//;
	$row{seconds} = seconds($took);
	return \%row;
}

# Of a list of what failed or was skipped: pairs of a row and a verdict in it.
sub read_verdicts {
	my ($list) = @_;
	my $verdict = $list =~ /^Failed/ ? 'fail' : 'skip';
	my (undef, undef, @lines) = $list =~ /^\|.*$/mg;
	return map {
		my ($tests, $reason) = cells($_);
		map { my ($row, $test) = split /: /, $_, 2; [$row, [$verdict, $test, $reason]] } split /<br>/, $tests;
	} @lines;
}

# The cells of a line of a table.
sub cells {
	my ($line) = @_;
	$line =~ s/^\| | \|$//g;
	return map { s/\\\|/|/gr } split / \| /, $line, -1;
}

sub seconds {
	my ($duration) = @_;
	my %length = (h => 3600, min => 60, s => 1);
	my $sum = 0;
	$sum += $1 * $length{$2} while $duration =~ /(\d+) (h|min|s)/g;
	return $sum;
}

1;

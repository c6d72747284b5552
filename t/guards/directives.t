#!/usr/bin/perl
# What is silently forgotten with a new directive: its default, its place in the reference, its test.

use strict;
use warnings;

use Test::More;
use OIDC::Nginx;

sub read_all { return map { [$_ => OIDC::Nginx::slurp($_)] } @_ }

my $table = join '', map { $_->[1] =~ /^(ngx_command_t commands\[\].*?^\s*ngx_null_command)/ms ? $1 : () } read_all(glob 'src/ngx/*.cpp');
my $code = join '', map { $_->[1] } read_all(glob 'src/ngx/*.cpp src/ngx/*.hpp');
my $reference = OIDC::Nginx::slurp('docs/directives.md');
my $tests = join '', map { $_->[1] } read_all(glob 't/*.t t/real/*.t t/browser/*.t t/lib/OIDC/*.pm');

# Rows as { name, member }; a member is where the value is kept. `include` is nginx's own.
my @rows;
push @rows, { name => $1, member => $1 } while $table =~ /\bPROVIDER_(?:TEXT|FLAG|TIME|MSEC)\((\w+)\)/g;
push @rows, { name => $1, member => $2 } while $table =~ /\bPROVIDER\("(\w+)",\s*\w+,\s*(\w+)/g;
push @rows, { name => $1, member => $3 } while $table =~ /ngx_string\("(\w+)"\)(?:(?!ngx_string).)*?(offsetof\(\w+,\s*(\w+)\)|\},)/gs;
@rows = grep { $_->{name} ne 'include' } @rows;
cmp_ok scalar @rows, '>', 30, 'the table of directives was understood';

for my $row (sort { $a->{name} cmp $b->{name} } @rows) {
    my ($name, $member) = @$row{qw(name member)};
    my ($section) = $reference =~ /^### \Q$name\E\n(.*?)(?=^##|\z)/ms;
    ok defined $section, "$name has a section in docs/directives.md";
    for my $line (qw(Syntax Default Context Since)) {
        like $section // '', qr/^$line:\s+\S/m, "$name: $line";
    }
    ok $tests =~ qr/\b\Q$name\E\b/, "$name has a test";
    next unless $member;
    # Used means merged, defaulted or turned into a value, outside of the table and of the declaration.
    (my $rest = $code) =~ s/^.*\bPROVIDER.*$|^.*offsetof.*$//mg;
    ok $rest =~ qr/(?:\.|->)\Q$member\E\b|\b\Q$member\E(?:\.|->)/, "$name is made use of: merged, defaulted, read";
}

# The other way round: the reference describes nothing that is not there.
my ($directives) = $reference =~ /\A(.*?)^## Variables/ms;
my %known = map { $_->{name} => 1 } @rows;
for my $name (($directives // '') =~ /^### (\w+)$/mg) {
    ok $known{$name} || $name eq 'include', "the reference's $name exists";
}

done_testing;

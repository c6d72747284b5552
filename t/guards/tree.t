#!/usr/bin/perl
# The shape of the tree: who may include whom, how long things are, and that every test runs.

use strict;
use warnings;

use Test::More;
use OIDC::Nginx;

my @sources = glob 'src/*/*.cpp src/*/*.hpp';
my %text = map { $_ => OIDC::Nginx::slurp($_) } @sources, glob 't/unit/*.cpp t/unit/*.hpp t/fuzz/*.cpp t/tools/*.cpp t/lib/OIDC/*.pm t/lib/OIDC/*/*.pm';

# ---- the arrow goes from src/ngx to src/oidc ----

my $foreign = qr{^\s*#\s*include\s*[<"](?:ngx_|curl/|sys/socket|netinet/|netdb|chrono|ctime|time\.h|thread|mutex|iostream|.*ngx/)}m;
for my $file (grep { m{^src/oidc/} } @sources) {
    ok $text{$file} !~ $foreign, "$file includes neither nginx nor curl, socket or clock";
    ok $text{$file} !~ qr/\bngx_\w+|\bcurl_\w+/, "$file does not speak of them";
}

# ---- sizes ----

# In formatted code a function begins at the left edge (or inside of a class) and its closing brace stands under its first line.
sub functions {
    my ($text) = @_;
    my (@found, $open);
    my @lines = split /\n/, $text;
    for my $i (0 .. $#lines) {
        local $_ = $lines[$i];
        if (!$open && /^(\s*)[\w:<~].*\)[^;=]*\{$/ && !/^\s*(?:namespace|struct|class|enum|union|if|for|while|switch|do|else)\b/) {
            $open = { indent => $1, line => $i, name => $_ };
            # A list of initialisers stands deeper than its constructor.
            $open->{indent} =~ s/^ {4}// if /^\s+:/;
            # A head of several lines began above.
            $open->{line}-- while $open->{line} > 0 && $lines[$open->{line} - 1] =~ /[,(]$/ && $lines[$open->{line} - 1] !~ /^\s*\/\//;
        }
        elsif (!$open && /^(\s*)[\w:<~].*\) .*\{.*\}$/ && !/^\s*(?:using|struct|if|for|while)\b/ && !/[=;]\s*\{/) {
            push @found, { name => $_, length => 1 };
        }
        elsif ($open && /^\Q$open->{indent}\E\}/) {
            push @found, { name => $open->{name} =~ s/^\s+|\s*\{$//gr, length => $i - $open->{line} + 1 };
            undef $open;
        }
    }
    return @found;
}

my @lengths;
for my $file (sort keys %text) {
    my $lines = () = $text{$file} =~ /\n/g;
    cmp_ok $lines, '<=', $file =~ /^src/ ? 400 : 600, "$file has at most so many lines";
    next unless $file =~ /^src/;
    for my $function (functions($text{$file})) {
        push @lengths, $function->{length};
        cmp_ok $function->{length}, '<=', 80, "$file: length of $function->{name}" if $function->{length} > 80;
    }
}
@lengths = sort { $a <=> $b } @lengths;
cmp_ok $lengths[@lengths / 2], '<=', 12, 'median length of a function';
cmp_ok $lengths[@lengths * 0.95], '<=', 45, 'length of 95 of 100 functions';
note scalar(@lengths) . " functions, median $lengths[@lengths / 2], the longest $lengths[-1] lines";

# ---- nothing unfinished, no goto, no naked memory ----

for my $file (@sources) {
    (my $bare = $text{$file}) =~ s{//.*$|"(?:[^"\\\n]|\\.)*"}{}mg;
    ok $bare !~ qr/\bgoto\b|\bnew\s+(?!\()\w|\bdelete\s+\w|(?<!const \{ std::)\b(?:malloc|calloc|realloc|free)\s*\(/, "$file: no goto, every object has an owner";
    ok $text{$file} !~ qr/\b(?:TODO|FIXME|XXX|HACK)\b/, "$file: nothing unfinished";
}

# ---- every test runs ----

for my $file (glob 't/unit/test_*.cpp') {
    my @written = $text{$file} =~ /^(?:static )?void (\w+)\(void \*\*\w*\)\s*\{/mg;
    for my $name (@written) {
        ok $text{$file} =~ qr/cmocka_unit_test(?:_setup_teardown|_setup|_teardown|_prestate)?\(\s*$name\b|\b$name,\s*\w+\)|[{,]\s*$name\b/, "$file: $name is registered";
    }
    cmp_ok scalar @written, '>', 0, "$file has tests";
}
for my $file (glob 't/fuzz/fuzz_*.cpp') {
    my ($name) = $file =~ /fuzz_(\w+)\.cpp/;
    my @inputs = glob "t/fuzz/corpus/$name/*";
    cmp_ok scalar @inputs, '>', 0, "$file has a corpus";
}
my %run = map { $_ => 1 } glob 't/*.t t/real/*.t t/browser/*.t t/guards/*.t t/more/*.t';
for my $file (split /\n/, `find t -name '*.t'`) {
    ok $run{$file}, "$file lies where a target of the Makefile looks";
}
for my $file (sort keys %run) {
    ok OIDC::Nginx::slurp($file) =~ qr/^done_testing|^\s*plan\b|tests =>/m, "$file says when it is through";
}

done_testing;

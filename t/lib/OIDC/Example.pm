package OIDC::Example;

# The configurations of conf-examples and of the README, with the values of a test or of the demo put in.

use strict;
use warnings;

use Exporter 'import';
use OIDC::Nginx;

our @EXPORT_OK = qw(example readme_example fill);

# The text of conf-examples/NAME.conf, filled in.
sub example {
    my ($name, %value) = @_;
    my $text = OIDC::Nginx::slurp("$OIDC::Nginx::CHECKOUT/conf-examples/$name.conf") or die "no example $name\n";
    return fill($text, %value);
}

# The first configuration in the README: what stands inside of http { }.
sub readme_example {
    my (%value) = @_;
    my ($text) = OIDC::Nginx::slurp("$OIDC::Nginx::CHECKOUT/README.md") =~ /^```nginx\n(.*?)^```/ms or die "no configuration in the README\n";
    return fill($text, %value);
}

# Gives directives their values, wherever they stand: fill($text, issuer => 'http://127.0.0.1:1') replaces the value of every
# `issuer ...;`. One that is not there is a mistake of the caller.
sub fill {
    my ($text, %value) = @_;
    for my $directive (sort keys %value) {
        $text =~ s/\b(\Q$directive\E\s+)[^;{}]+?(\s*[;{])/$1$value{$directive}$2/g or die "the example has no $directive\n";
    }
    return $text;
}

1;

package OIDC::Harness;

# prove's own harness with one line more at the end: how many tests there were, alone on a line.

use strict;
use warnings;
use parent 'TAP::Harness';

sub summary {
    my ($self, $aggregate) = @_;
    $self->SUPER::summary($aggregate);

    # A file that broke off, or ran other tests than it had planned, is a failure even if no single test of it failed.
    my ($failed, $skipped) = (scalar $aggregate->failed, scalar $aggregate->skipped);
    for my $parser ($aggregate->parsers) {
        $failed++ if $parser->has_problems && !$parser->failed;
    }
    my $passed = $aggregate->passed - $skipped;
    printf "%d passed, %d failed%s\n", $passed, $failed, $skipped ? ", $skipped skipped" : '';
    return;
}

1;

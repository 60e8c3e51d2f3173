/**
 * \file
 * Every test case of the library for C: CASE(name) declares `void name(void)` where it is written, in C99,
 * and registers it where it is run, in C++. One that stands in no line here does not compile.
 */

/* setting_up.c */
CASE(numbers_are_for_ever)
CASE(a_code_has_words_and_another_number_has_none)
CASE(a_reason_has_the_word_of_rlctl)
CASE(the_version_is_that_of_the_header)
CASE(a_sentence_says_what_failed_and_stays_until_the_next)
CASE(a_thread_has_a_sentence_of_its_own)
CASE(log_lines_go_where_they_are_sent)
CASE(a_segment_is_opened_in_each_way)
CASE(what_cannot_be_opened_has_the_code_of_its_reason)
CASE(options_reach_the_segment)
CASE(options_that_make_no_sense_are_invalid)
CASE(without_a_segment_calls_get_what_was_asked_for)
CASE(a_name_is_removed_once)
CASE(a_manual_clock_goes_forward_only)
CASE(all_keys_are_forgotten_and_counted)
CASE(a_limiter_goes_on_when_its_segment_is_closed)
CASE(the_first_limit_of_a_name_stands)
CASE(a_limit_is_changed_by_who_says_so)
CASE(a_list_stands_where_one_limit_is_asked_for)
CASE(a_list_has_a_limiter_of_each_limit)
CASE(a_limit_is_told_as_far_as_the_buffer_reaches)
CASE(limits_are_checked_without_a_segment)
CASE(setting_up_with_nothing_is_invalid)

/* deciding.c */
CASE(a_call_passes_until_the_limit_and_is_told_when_it_can_again)
CASE(a_decision_is_not_needed)
CASE(a_call_that_makes_no_sense_is_invalid_and_told_so)
CASE(a_cost_above_the_burst_never_passes)
CASE(a_call_of_low_priority_leaves_the_floor)
CASE(a_call_counts_at_the_time_that_it_gives)
CASE(a_look_charges_nothing)
CASE(a_reservation_has_an_instant)
CASE(a_wait_ends_when_the_turn_comes)
CASE(a_timeout_may_be_any_number)
CASE(a_charge_counts_beyond_the_limit)
CASE(a_hold_is_settled_once)
CASE(a_refund_gives_back_once)
CASE(what_is_left_can_be_set)
CASE(a_key_can_be_forgotten)
CASE(a_list_is_asked_by_the_calls_that_take_one)
CASE(a_read_only_segment_takes_looks_alone)
CASE(many_keys_are_decided_in_their_order)
CASE(many_keys_of_a_list_are_asked_of_all_its_limits)
CASE(many_keys_that_make_no_sense_are_invalid)
CASE(all_limits_are_charged_or_none)
CASE(asks_that_make_no_sense_are_invalid)

/* growing.c */
CASE(a_smaller_decision_gets_no_byte_beyond_its_size)
CASE(a_larger_decision_keeps_its_rest)
CASE(a_decision_without_a_size_is_invalid_and_charges_nothing)
CASE(decisions_in_a_row_have_the_size_of_the_first)
CASE(a_smaller_decision_that_is_handed_back_owes_nothing)
CASE(a_decision_that_is_none_is_invalid)
CASE(larger_options_are_taken_when_the_rest_is_zero)
CASE(options_of_no_size_are_invalid)

/* holding.c */
CASE(a_permit_is_held_until_it_is_given_back)
CASE(a_permit_of_nothing_is_invalid)
CASE(a_permit_ends_with_its_lease)
CASE(a_permit_in_a_forked_child_is_only_freed)
CASE(a_limiter_decides_in_a_forked_child)

/* writing.c */
CASE(an_address_has_one_key)
CASE(a_socket_address_has_the_same_key)
CASE(a_key_of_parts_is_injective)
CASE(a_field_says_how_things_stand)
CASE(a_field_of_a_list_is_of_the_limit_that_decided)
CASE(a_buffer_that_is_too_small_is_left_alone)
